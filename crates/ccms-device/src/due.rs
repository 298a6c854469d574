//! What is due, and when. One function answers for each route; sending and waking both ask it, so that the device neither
//! sleeps through something nor spins over something that it would not send.
use crate::clock::Uptime;
use crate::device::Device;
use crate::exchange::Why;
use crate::request::Kind;
use crate::state::State;

/// At once, as far as the lane lets it.
const NOW: Option<Uptime> = Some(Uptime(0));

impl Device {
    /// When to come back with [`Input::Timeout`](crate::Input::Timeout) if nothing else happens before, and why. `None` only
    /// in POWER_OFF.
    pub fn wake_at(&self) -> Option<(Uptime, Why)> {
        match self.state {
            State::PowerOff => return None,
            State::PowerOn | State::Initializing => return Some((Uptime(0), Why::PowerOn)),
            State::Configuring | State::Ready | State::Offline | State::Error | State::Maintenance => {}
        }
        let timeouts = self.lanes.iter().filter_map(|l| Some((l.in_flight.as_ref()?.deadline, Why::RequestTimeout)));
        let sends = Kind::ALL.into_iter().filter_map(|kind| Some((self.due(kind)?, why(kind))));
        let edge = self.lamp_edge.map(|at| (at, Why::LampEdge));
        timeouts.chain(sends).chain([(self.status_due, Why::StatusDue)]).chain(edge).min_by_key(|(at, _)| *at)
    }

    pub(crate) fn send_what_is_due(&mut self, at: Uptime) {
        for kind in Kind::ALL {
            // A sample is about to be taken: the report waits for it.
            let waits = matches!(kind, Kind::Status | Kind::Sync) && self.status_due <= at;
            if !waits && self.due(kind).is_some_and(|due| due <= at) {
                self.send_kind(at, kind);
            }
        }
    }

    /// When a request of this kind is to be sent, as things are now. `None` when there is nothing to send, when its lane is
    /// busy, or when the state does not send it.
    fn due(&self, kind: Kind) -> Option<Uptime> {
        let lane = self.lane(kind);
        if lane.in_flight.is_some() {
            return None;
        }
        let due = match self.state {
            State::PowerOn | State::Initializing | State::PowerOff => None,
            State::Configuring => NOW.filter(|_| kind == Kind::Configure),
            // All probes keep the back-off of polls.
            State::Offline => self.is_probe(kind).then_some(self.lane(Kind::Commands).not_before),
            State::Ready | State::Error => self.due_online(kind),
            // Commands are withheld: what is not fetched cannot be executed, and the server keeps it.
            State::Maintenance if kind == Kind::Commands => None,
            State::Maintenance if self.registered => self.due_online(kind),
            State::Maintenance => NOW.filter(|_| kind == Kind::Configure),
        };
        Some(due?.max(lane.not_before))
    }

    /// Offline one request is the probe: the poll, or, because an old token is good for nothing else, the report.
    pub(crate) fn is_probe(&self, kind: Kind) -> bool {
        let by_report = self.token_is_over() && self.can_report();
        match kind {
            Kind::Commands => !by_report,
            Kind::Sync => by_report && self.has_backlog(),
            Kind::Status => by_report && !self.has_backlog(),
            Kind::Configure | Kind::CommandAck | Kind::Alert | Kind::Firmware | Kind::Logs | Kind::Health => false,
        }
    }

    fn due_online(&self, kind: Kind) -> Option<Uptime> {
        match kind {
            Kind::Configure => Some(self.configure_again),
            Kind::Sync => NOW.filter(|_| self.has_backlog()),
            Kind::Status => NOW.filter(|_| self.can_report() && !self.has_backlog()),
            // After an outage the report goes first, and what piled up with it, in one piece and in its order.
            Kind::CommandAck | Kind::Alert | Kind::Firmware | Kind::Logs if self.report_comes_first() => None,
            Kind::CommandAck => self.acks.next_due(&self.covering.acks),
            Kind::Alert => self.alerts.next_due(&self.covering.alerts),
            Kind::Commands => NOW,
            Kind::Firmware => self.report.as_ref().map(|report| report.due),
            Kind::Logs => (!self.logbook.is_empty()).then_some(self.logs_due),
            Kind::Health => NOW.filter(|_| self.asks_health),
        }
    }

    fn report_comes_first(&self) -> bool {
        self.resync && !self.one_by_one && self.sensors.is_some()
    }

    fn can_report(&self) -> bool {
        !self.readings.is_empty() && self.settings.light_id.is_some()
    }

    /// More than the present state is to be told.
    pub(crate) fn has_backlog(&self) -> bool {
        let unheard = self.resync && !(self.acks.is_empty() && self.alerts.is_empty());
        !self.one_by_one && self.can_report() && (self.readings.len() > 1 || unheard)
    }

    fn send_kind(&mut self, at: Uptime, kind: Kind) {
        match kind {
            Kind::Configure => self.send_configure(at),
            Kind::Sync => self.send_sync(at),
            Kind::CommandAck => self.send_ack(at),
            Kind::Alert => self.send_alert(at),
            Kind::Status => self.send_status(at),
            Kind::Commands | Kind::Health => self.send(at, kind, Vec::new()),
            Kind::Firmware => self.send_firmware(at),
            Kind::Logs => self.send_logs(at),
        }
    }
}

const fn why(kind: Kind) -> Why {
    match kind {
        Kind::Configure => Why::ConfigureDue,
        Kind::Sync => Why::SyncDue,
        Kind::CommandAck => Why::AckDue,
        Kind::Alert => Why::AlertDue,
        Kind::Status => Why::StatusSend,
        Kind::Commands => Why::PollDue,
        Kind::Firmware => Why::FirmwareDue,
        Kind::Logs => Why::LogsDue,
        Kind::Health => Why::HealthDue,
    }
}
