//! The commands of the server's part. They are handed out as a server does it: at every poll, but each no sooner than 10 s
//! after it was handed out last, until it is acknowledged.
use ccms_core::limits::{COMMAND_LIFE_S, REDELIVERY_INTERVAL_S};
use ccms_core::time::UtcMillis;
use serde_json::{Value, json};

/// One command and what became of it.
#[derive(Debug, Clone)]
pub struct Order {
    pub name: &'static str,
    pub id: String,
    what: Value,
    high: bool,
    life_s: i64,
    requested_at: UtcMillis,
    expires_at: UtcMillis,
    /// Times at which it was handed out.
    pub handed_ms: Vec<u64>,
    /// Times and words of its acknowledgements.
    pub acks: Vec<(u64, String)>,
    alive: bool,
}

impl Order {
    /// `what`: its type and the fields that go with it.
    pub fn new(name: &'static str, what: Value) -> Self {
        Self {
            name,
            id: String::new(),
            what,
            high: false,
            life_s: COMMAND_LIFE_S,
            requested_at: UtcMillis::default(),
            expires_at: UtcMillis::default(),
            handed_ms: Vec::new(),
            acks: Vec::new(),
            alive: true,
        }
    }

    pub fn power(name: &'static str, action: &str, revert_after_s: u32) -> Self {
        let what = json!({"command_type": "power_control", "action": action, "revert_after_seconds": revert_after_s});
        Self::new(name, what)
    }

    pub fn brightness(name: &'static str, percent: u8) -> Self {
        Self::new(name, json!({"command_type": "brightness_control", "brightness_level": percent}))
    }

    pub fn high(mut self) -> Self {
        self.high = true;
        self
    }

    /// Over before it is handed out, which no server does.
    pub fn expired(mut self) -> Self {
        self.life_s = -60;
        self
    }

    fn on_the_wire(&self) -> Value {
        let mut command = json!({
            "command_id": self.id, "id": self.id, "type": self.what["command_type"],
            "priority": if self.high { "high" } else { "normal" },
            "requested_at": self.requested_at.to_string(), "expires_at": self.expires_at.to_string(),
        });
        if let (Value::Object(command), Value::Object(what)) = (&mut command, &self.what) {
            command.extend(what.clone());
        }
        command
    }
}

#[derive(Debug, Default)]
pub struct Orders {
    all: Vec<Order>,
    /// Nothing is handed out a second time.
    pub once: bool,
    /// Nothing is handed out at all.
    pub hold: bool,
}

impl Orders {
    pub fn give(&mut self, now: UtcMillis, mut order: Order) {
        order.id = format!("CMD_{:026}", now.0.unsigned_abs() * 1_000 + self.all.len() as u64);
        order.requested_at = now.plus_seconds(-1);
        order.expires_at = now.plus_seconds(order.life_s);
        self.all.push(order);
    }

    /// Hands out once more what is done already, as a late or repeated answer would.
    pub fn again(&mut self, name: &str) {
        if let Some(order) = self.all.iter_mut().find(|o| o.name == name) {
            order.alive = true;
        }
    }

    pub fn get(&self, name: &str) -> Option<&Order> {
        self.all.iter().find(|o| o.name == name)
    }

    /// Whether one of high priority waits.
    pub fn are_urgent(&self) -> bool {
        self.all.iter().any(|o| o.alive && o.high)
    }

    /// What the answer to a poll brings, in this order.
    pub fn hand_out(&mut self, now_ms: u64, now: UtcMillis) -> (Vec<&'static str>, Vec<Value>) {
        let (once, hold) = (self.once, self.hold);
        let is_due = |order: &Order| match order.handed_ms.last() {
            None => true,
            Some(last) => !once && now_ms >= last + u64::from(REDELIVERY_INTERVAL_S) * 1000,
        };
        // Its end is in the future for every server that hands it out; those that were over from the start are a trap.
        let is_live = |order: &Order| order.life_s < 0 || now < order.expires_at;
        let due = self.all.iter_mut().filter(|o| !hold && o.alive && is_live(o) && is_due(o));
        due.map(|order| {
            order.handed_ms.push(now_ms);
            (order.name, order.on_the_wire())
        })
        .unzip()
    }

    pub fn acknowledged(&mut self, now_ms: u64, id: &str, status: &str) {
        if let Some(order) = self.all.iter_mut().find(|o| o.id == id) {
            order.acks.push((now_ms, status.to_owned()));
            order.alive = false;
        }
    }

    /// What nobody waits for any more.
    pub fn drop_all(&mut self) {
        self.all.iter_mut().for_each(|o| o.alive = false);
        (self.once, self.hold) = (false, false);
    }

    /// How many are still handed out.
    pub fn alive(&self) -> usize {
        self.all.iter().filter(|o| o.alive).count()
    }
}
