//! The drawer's sentences. Each is whole, so that it can be translated whole; nothing is glued from words. Pure.
use ccms_core::command::{CommandKind, CommandState};
use ccms_core::light::{Cause, Indicator};
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::TimeOfDay;
use ccms_core::view::{LightDetail, ReadingView};

pub const fn power(state: PowerState) -> &'static str {
    match state {
        PowerState::On => "On",
        PowerState::Off => "Off",
    }
}

/// "On · 85 %", "Off", "Not known".
pub fn actual(reading: &ReadingView) -> String {
    match (reading.power_state, reading.brightness_percent) {
        (Some(PowerState::On), Some(percent)) => format!("On · {percent} %"),
        (Some(state), _) => power(state).into(),
        (None, Some(percent)) => format!("{percent} %"),
        (None, None) => "Not known".into(),
    }
}

fn minute(time: TimeOfDay) -> String {
    format!("{:02}:{:02}", time.seconds() / 3600, time.seconds() / 60 % 60)
}

pub fn schedule(schedule: &Schedule) -> String {
    let (set, rise) = (minute(schedule.sunset_time), minute(schedule.sunrise_time));
    if schedule.enabled {
        format!("On from {set} to {rise}")
    } else {
        "Switched off: the lamp burns without one".into()
    }
}

/// What a command asks for.
pub fn kind(kind: &CommandKind) -> String {
    match kind {
        CommandKind::Power(state) => power(*state).into(),
        CommandKind::Brightness(percent) => format!("Dim to {percent} %"),
        CommandKind::Schedule(s) => format!("Schedule {} to {}", minute(s.sunset_time), minute(s.sunrise_time)),
        CommandKind::Reset => "Restart the controller".into(),
    }
}

pub const fn state(state: CommandState) -> &'static str {
    match state {
        CommandState::Queued => "Queued",
        CommandState::Delivered => "Delivered",
        CommandState::Unverified => "Unverified",
        CommandState::Executed => "Executed",
        CommandState::Failed => "Failed",
        CommandState::Rejected => "Rejected",
        CommandState::Expired => "Expired",
        CommandState::Superseded => "Superseded",
        CommandState::Cancelled => "Cancelled",
    }
}

pub const fn indicator(indicator: Indicator) -> &'static str {
    match indicator {
        Indicator::Green => "Normal",
        Indicator::Yellow => "Needs attention",
        Indicator::Red => "Critical",
        Indicator::Gray => "Never seen",
    }
}

/// Why the light is in its colour; `silence` is how long ago its last contact was.
pub fn cause(detail: &LightDetail, silence: Option<String>) -> String {
    let now = detail.actual.as_ref();
    match detail.cause {
        None => "Online, all values normal.".into(),
        Some(Cause::NeverSeen) => "Its controller has never reported.".into(),
        Some(Cause::DeviceError) => match now.map(|r| r.error_flags.join(", ")).filter(|flags| !flags.is_empty()) {
            Some(flags) => format!("The device reports an error: {flags}."),
            None => "The device reports an error.".into(),
        },
        Some(Cause::Overheating) => match now.and_then(|r| r.temperature_c) {
            Some(t) => format!("The light is too hot: {t:.1} °C."),
            None => "The light is too hot.".into(),
        },
        Some(Cause::Offline) => match silence {
            Some(age) => format!("Offline. Last contact {age}."),
            None => "Offline.".into(),
        },
        Some(Cause::BatteryLow) => match now.and_then(|r| r.battery_percent) {
            Some(percent) => format!("The battery is low: {percent} %."),
            None => "The battery is low.".into(),
        },
        Some(Cause::SignalPoor) => match now.and_then(|r| r.signal_percent) {
            Some(percent) => format!("The connection is poor: {percent} %."),
            None => "The connection is poor.".into(),
        },
    }
}

/// What the schedule wants, when nobody commanded anything.
pub const fn scheduled(wants: PowerState) -> &'static str {
    match wants {
        PowerState::On => "on at this hour",
        PowerState::Off => "off at this hour",
    }
}

/// A short form of a cause, for tables.
pub const fn cause_short(cause: Option<Cause>) -> &'static str {
    match cause {
        None => "Normal",
        Some(Cause::NeverSeen) => "Never seen",
        Some(Cause::DeviceError) => "Device error",
        Some(Cause::Overheating) => "Too hot",
        Some(Cause::Offline) => "Offline",
        Some(Cause::BatteryLow) => "Low battery",
        Some(Cause::SignalPoor) => "Poor signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_schedules_read_as_sentences() {
        let at = |text| TimeOfDay::parse(text).unwrap();
        let night = Schedule { enabled: true, sunrise_time: at("09:12:30"), sunset_time: at("15:13:00") };
        assert_eq!(schedule(&night), "On from 15:13 to 09:12");
        assert_eq!(kind(&CommandKind::Schedule(night)), "Schedule 15:13 to 09:12");
        assert_eq!(kind(&CommandKind::Brightness(60)), "Dim to 60 %");
        assert_eq!(kind(&CommandKind::Power(PowerState::Off)), "Off");
    }
}
