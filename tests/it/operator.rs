//! A person at the screen, by the calls that the screen makes.
use ccms_core::command::{CommandKind, CommandState};
use ccms_core::ids::{CommandId, DeviceId, LightId, UserId};
use ccms_core::snapshot::{Mark, Snapshot};
use ccms_core::view::LightDetail;
use ccms_service::{Ccms, Person, Role, Who};
use ccms_store::{AlertQuery, AlertState, Curated, NewDevice};

/// Who lets devices in.
const TECHNICIAN: Who<'static> = Who::person("technician@city.example", Role::Technician, None);

/// Who ends what a device may do.
const ADMIN: Who<'static> = Who::person("admin@city.example", Role::Admin, None);

pub struct Operator {
    ccms: Ccms,
    person: Person,
}

impl Operator {
    pub fn of(ccms: &Ccms) -> Self {
        let person = Person { id: UserId(1), email: "operator@city.example".into(), role: Role::Operator, zone: None };
        Self { ccms: ccms.clone(), person }
    }

    pub async fn commands(&self, light: &str, kind: CommandKind) -> CommandId {
        let may = self.person.who().may_command().expect("an operator may command");
        self.ccms.command(may, &light_id(light), kind).await.expect("a command is queued").command_id
    }

    /// The same, when the city can.
    pub async fn tries_to_command(&self, light: &str, kind: CommandKind) -> Option<CommandId> {
        let may = self.person.who().may_command().expect("an operator may command");
        self.ccms.command(may, &light_id(light), kind).await.ok().map(|view| view.command_id)
    }

    pub async fn approves(&self, device: &str) {
        let may = TECHNICIAN.may_commission().expect("a technician may approve");
        self.ccms.approve_device(may, &device_id(device)).await.expect("approved");
    }

    pub async fn rejects(&self, device: &str) {
        let may = TECHNICIAN.may_commission().expect("a technician may reject");
        self.ccms.reject_device(may, &device_id(device)).await.expect("rejected");
    }

    pub async fn allows_reclaim(&self, device: &str) {
        let may = TECHNICIAN.may_commission().expect("a technician may allow it");
        self.ccms.allow_reclaim(may, &device_id(device)).await.expect("allowed");
    }

    /// The same, when there is something to allow.
    pub async fn tries_to_allow_reclaim(&self, device: &str) -> bool {
        let may = TECHNICIAN.may_commission().expect("a technician may allow it");
        self.ccms.allow_reclaim(may, &device_id(device)).await.is_ok()
    }

    pub async fn swaps(&self, old: &str, new: &str) {
        let may = TECHNICIAN.may_commission().expect("a technician may swap");
        self.ccms.swap_device(may, &device_id(old), &device_id(new)).await.expect("swapped");
    }

    pub async fn revokes(&self, device: &str) {
        let may = ADMIN.may_administer().expect("an administrator may revoke");
        self.ccms.revoke_device(may, &device_id(device)).await.expect("revoked");
    }

    /// Kinds of alerts that are not resolved, with how often each occurred.
    pub async fn sees_alerts(&self) -> Vec<(String, u32)> {
        let query = AlertQuery { limit: 100, ..AlertQuery::default() };
        let alerts = self.ccms.store().alerts(&query).await.expect("alerts");
        alerts.into_iter().filter(|a| a.state != AlertState::Resolved).map(|a| (a.kind, a.count)).collect()
    }

    /// Devices that wait for a person, with how often they asked.
    pub async fn sees_waiting(&self) -> Vec<(String, u32)> {
        let may = TECHNICIAN.may_commission().expect("a technician may look");
        let waiting = self.ccms.waiting_devices(may).await.expect("a list");
        waiting.into_iter().map(|d| (d.device_id.to_string(), d.attempts)).collect()
    }

    pub async fn registers(&self, device: &str, light: &str) {
        let new = NewDevice {
            device_id: device_id(device),
            light_id: Some(light_id(light)),
            curated: Curated {
                name: format!("Light {light}"),
                address: "Main Road".into(),
                city: "Delhi".into(),
                latitude: 28.6139,
                longitude: 77.2090,
                ..Curated::default()
            },
            claim_until: None,
            created_at: self.ccms.now(),
        };
        self.ccms.register(&self.person.email, new).await.expect("registered");
    }

    pub async fn sees(&self, light: &str) -> LightDetail {
        self.ccms
            .light(self.person.who().may_view().expect("an operator may look"), &light_id(light))
            .await
            .expect("a light")
    }

    /// Where a command is in its life.
    pub async fn sees_command(&self, id: &CommandId) -> CommandState {
        self.ccms.store().command(id).await.expect("a store").expect("a command").state
    }

    /// How the map draws a light.
    pub fn sees_mark(&self, light: &str) -> Mark {
        let bytes = self.ccms.snapshot(self.person.who().may_view().expect("an operator may look"));
        let marks = Snapshot::decode(&bytes).expect("a snapshot").marks;
        marks.into_iter().find(|m| m.id == light).expect("a light on the map")
    }

    /// What was written down, newest first: who did what.
    pub async fn sees_audit(&self) -> Vec<(String, String)> {
        let entries = self.ccms.store().audit(1_000).await.expect("the audit");
        entries.into_iter().map(|e| (e.action, e.actor)).collect()
    }
}

pub fn light_id(text: &str) -> LightId {
    LightId::parse(text).expect("a light id")
}

pub fn device_id(text: &str) -> DeviceId {
    DeviceId::parse(text).expect("a device id")
}
