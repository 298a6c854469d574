//! What the screen asks. Lists and counts come from memory; one light's history from the store.
use std::sync::Arc;

use ccms_core::command::{Command, CommandState};
use ccms_core::ids::{LightId, LightNo};
use ccms_core::light::Indicator;
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::snapshot::{Delta, Encoder};
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_core::view::{
    CityView, CommandView, DeviceView, FleetCounts, LightDetail, LightHit, LightsPage, MapView, ReadingView, SunEvent,
};
use ccms_store::ReadingRow;

use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::live::feed::Change;
use crate::live::{LiveLight, State};
use crate::permission::{MayView, Permission, Who};
use crate::sun;

/// Readings and commands in a light's drawer.
const DRAWER_READINGS: u32 = 40;
const DRAWER_COMMANDS: u32 = 12;

impl Ccms {
    /// The city, its clock, counts and how its map is drawn.
    pub fn city(&self, by: MayView<'_>) -> CityView {
        let now = self.now();
        let live = self.live().read();
        let counts = counts(&live, by.who(), now);
        let bounds = bounds(&live, by.who());
        drop(live);
        let settings = self.settings();
        CityView {
            name: settings.city.name.clone(),
            timezone: settings.city.timezone.clone(),
            utc_offset_minutes: self.inner().city_time.utc_offset_minutes(now),
            now,
            demo_clock: self.clock().is_shifted(),
            next_sun: bounds.and_then(|b| self.next_sun(b, counts.total(), now)),
            counts,
            map: MapView {
                bounds,
                tile_url: settings.map.tile_url.clone(),
                attribution: settings.map.attribution.clone(),
                geojson_layers: settings.map.geojson_layers.clone(),
            },
        }
    }

    /// Every light, as the map draws it, and the number of the last change that it includes: a
    /// [`Snapshot`](ccms_core::snapshot::Snapshot), encoded. Made anew for who asks, of what is so now: nothing of it is kept.
    pub fn snapshot(&self, by: MayView<'_>) -> Vec<u8> {
        // The number first: a change in between is applied twice, never missed.
        let seq = self.feed().seq();
        let now = self.now();
        let (mut encoder, mut id) = (Encoder::default(), String::new());
        self.live().each_light(|live, light| {
            if by.who().sees(&light.record) {
                light.record.id_text_into(&mut id);
                encoder.push(light.record.no.0, &id, light.record.place_e7(), live.mark_state(light, now));
            }
        });
        encoder.finish(seq)
    }

    pub fn search(&self, by: MayView<'_>, query: &str, limit: usize) -> Vec<LightHit> {
        if query.trim().is_empty() {
            return Vec::new();
        }
        self.lights_page(by, query, None, None, limit).hits
    }

    /// Lights whose id, device, name or address contains `query`, in the order of their numbers, behind `after_no`.
    pub fn lights_page(
        &self,
        by: MayView<'_>,
        query: &str,
        indicator: Option<Indicator>,
        after_no: Option<u32>,
        limit: usize,
    ) -> LightsPage {
        let now = self.now();
        let needle = query.trim().to_lowercase();
        let live = self.live().read();
        let matching = live
            .lights()
            .filter(|l| by.who().sees(&l.record) && matches(&live, l, &needle))
            .filter(|l| indicator.is_none_or(|wanted| live.facts(l).indicator(now) == wanted));
        let (mut hits, mut total, mut last, mut more) = (Vec::new(), 0, None, false);
        for light in matching {
            total += 1;
            if after_no.is_some_and(|after| light.record.no.0 <= after) {
                continue;
            }
            if hits.len() < limit {
                last = Some(light.record.no.0);
                hits.push(hit(&live, light, now));
            } else {
                more = true;
            }
        }
        LightsPage { hits, next_after_no: last.filter(|_| more), total }
    }

    /// What a step means for the map of this viewer; `None` when nothing on it changes.
    pub fn seen_delta(&self, by: MayView<'_>, change: &Change) -> Option<Arc<str>> {
        let delta = change.delta.as_ref()?;
        if by.who().zone().is_none() {
            return Some(delta.clone());
        }
        let mut narrowed: Delta = serde_json::from_str(delta).ok()?;
        let live = self.live().read();
        let seen = |no: u32| live.light(LightNo(no)).is_some_and(|l| by.who().sees(&l.record));
        narrowed.changed.retain(|(no, ..)| seen(*no));
        narrowed.placed.retain(|mark| seen(mark.no));
        let drawn = !narrowed.changed.is_empty() || !narrowed.placed.is_empty();
        drawn.then(|| serde_json::to_string(&narrowed).ok()).flatten().map(Into::into)
    }

    /// The number of a light that the viewer may see.
    pub fn light_no(&self, by: MayView<'_>, id: &LightId) -> Option<LightNo> {
        let live = self.live().read();
        live.light_no(id).filter(|no| live.light(*no).is_some_and(|l| by.who().sees(&l.record)))
    }

    /// Everything about one light.
    pub async fn light(&self, by: MayView<'_>, id: &LightId) -> Result<LightDetail, ServiceError> {
        let no = self.light_no(by, id).ok_or(ServiceError::NotFound)?;
        let readings = self.last_words(no, DRAWER_READINGS).await?;
        let commands = self.store().commands_of_light(no, DRAWER_COMMANDS).await?;
        let now = self.now();
        let live = self.live().read();
        let light = live.light(no).ok_or(ServiceError::NotFound)?;
        let (facts, device) = (live.facts(light), live.device_of(light));
        let (latitude, longitude) = light.record.place();
        let schedule = self.schedule_at(latitude, longitude, now);
        let local = TimeOfDay::at(now, self.inner().city_time.utc_offset_minutes(now));
        let commands: Vec<CommandView> = commands.iter().map(|c| command_view(c, id)).collect();
        Ok(LightDetail {
            now,
            light_id: id.clone(),
            light_no: no.0,
            name: light.record.name(),
            address: light.record.address(),
            city: light.record.city(),
            latitude,
            longitude,
            indicator: facts.indicator(now),
            cause: facts.cause(now),
            online: facts.is_online(now),
            last_contact: device.and_then(|d| d.last_contact()),
            scheduled: schedule.wants(Some(local)),
            schedule: Some(schedule),
            commanded: commands.iter().find(|c| c.state.is_live() || c.state == CommandState::Executed).cloned(),
            actual: light.latest().as_ref().map(reading_view),
            device: device.map(|d| d.record.record()).map(|d| DeviceView {
                device_id: d.id,
                firmware_version: d.reported.firmware_version,
                communication_type: d.reported.communication_type,
                gsm_imei: d.reported.gsm_imei,
                claimed_at: d.claimed_at,
            }),
            readings: readings.iter().map(reading_view).collect(),
            commands,
            may_command: by.who().may(Permission::Command),
        })
    }

    /// The night at a place, by the city's own times if it has set any.
    pub(crate) fn schedule_at(&self, latitude: f64, longitude: f64, now: UtcMillis) -> Schedule {
        self.settings().fixed_schedule.unwrap_or_else(|| self.inner().city_time.schedule(now, latitude, longitude))
    }

    fn next_sun(&self, [south, west, north, east]: [f64; 4], lights: u32, now: UtcMillis) -> Option<SunEvent> {
        let (latitude, longitude) = ((south + north) / 2.0, (west + east) / 2.0);
        let rise = sun::next_sunrise(now, latitude, longitude).map(|at| (at, PowerState::Off));
        let set = sun::next_sunset(now, latitude, longitude).map(|at| (at, PowerState::On));
        let (at, switches) = rise.into_iter().chain(set).min_by_key(|(at, _)| *at)?;
        Some(SunEvent { at, switches, lights })
    }
}

fn counts(live: &State, who: Who<'_>, now: UtcMillis) -> FleetCounts {
    let mut counts = FleetCounts::default();
    for light in live.lights().filter(|l| who.sees(&l.record)) {
        let facts = live.facts(light);
        match facts.indicator(now) {
            Indicator::Green => counts.green += 1,
            Indicator::Yellow => counts.yellow += 1,
            Indicator::Red => counts.red += 1,
            Indicator::Gray => counts.gray += 1,
        }
        counts.lit += u32::from(facts.power_state == Some(PowerState::On));
    }
    counts
}

/// Around all lights that have a place; `0,0` is none.
fn bounds(live: &State, who: Who<'_>) -> Option<[f64; 4]> {
    let places = live.lights().filter(|l| who.sees(&l.record)).map(|l| l.record.place()).filter(|p| *p != (0.0, 0.0));
    places.fold(None, |bounds, (lat, lon)| {
        let [s, w, n, e] = bounds.unwrap_or([lat, lon, lat, lon]);
        Some([s.min(lat), w.min(lon), n.max(lat), e.max(lon)])
    })
}

fn matches(live: &State, light: &LiveLight, needle: &str) -> bool {
    let has = |text: String| text.to_lowercase().contains(needle);
    needle.is_empty()
        || has(light.record.id_text())
        || has(light.record.name())
        || has(light.record.address())
        || live.device_of(light).is_some_and(|d| has(d.record.id_text()))
}

fn hit(live: &State, light: &LiveLight, now: UtcMillis) -> LightHit {
    let (facts, device) = (live.facts(light), live.device_of(light));
    LightHit {
        light_id: light.record.id(),
        device_id: device.map(|d| d.record.id()),
        name: light.record.name(),
        address: light.record.address(),
        indicator: facts.indicator(now),
        power_state: facts.power_state,
        brightness_percent: light.latest.as_ref().and_then(|r| r.brightness_percent()),
        last_contact: device.and_then(|d| d.last_contact()),
        cause: facts.cause(now),
    }
}

fn reading_view(row: &ReadingRow) -> ReadingView {
    let r = &row.reading;
    ReadingView {
        reported_at: r.reported_at,
        received_at: row.received_at,
        power_state: r.power_state,
        brightness_percent: r.brightness_percent,
        temperature_c: r.temperature_dc.map(|v| f64::from(v) / 10.0),
        battery_percent: r.battery_percent,
        signal_percent: r.signal_percent,
        uptime_s: r.uptime_s,
        voltage_v: r.voltage_dv.map(|v| f64::from(v) / 10.0),
        current_a: r.current_ma.map(|v| f64::from(v) / 1000.0),
        power_w: r.power_dw.map(|v| f64::from(v) / 10.0),
        frequency_hz: r.frequency_chz.map(|v| f64::from(v) / 100.0),
        energy_kwh: r.energy_wh.map(|v| v as f64 / 1000.0),
        error_flags: r.error_flags.iter().map(|f| f.to_string()).collect(),
        flags: r.flags.names().map(str::to_owned).collect(),
    }
}

pub(crate) fn command_view(c: &Command, light: &LightId) -> CommandView {
    CommandView {
        command_id: c.id.clone(),
        light_id: light.clone(),
        kind: c.kind,
        priority: c.priority,
        state: c.state,
        requested_by: c.requested_by.clone(),
        reason: c.reason.clone(),
        requested_at: c.requested_at,
        expires_at: c.expires_at,
        delivered_at: c.delivered_at,
        unverified_at: c.unverified_at,
        executed_at: c.executed_at,
        finished_at: c.finished_at,
        detail: c.detail.clone(),
    }
}
