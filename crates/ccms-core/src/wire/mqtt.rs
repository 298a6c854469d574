//! The document's MQTT block, which travels inside `config` when MQTT is on. The messages on its topics are those of
//! [`commands`](super::commands) and [`status`](super::status).
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttConfig {
    pub mqtt_enabled: bool,
    pub mqtt_broker: String,
    pub mqtt_port: u16,
    pub mqtt_username: String,
    pub mqtt_password: String,
    pub topics: MqttTopics,
}

/// As the device sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttTopics {
    pub subscribe: String,
    pub publish: String,
}
