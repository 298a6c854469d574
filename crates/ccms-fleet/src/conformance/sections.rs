//! The device document's sections by number, and the decisions (G) that settle where it is silent: what a reader of the report
//! needs to know without having either at hand.

/// Number and title of every section of the device document.
pub const SECTIONS: [(u8, &str); 12] = [
    (1, "Device Installation & Configuration"),
    (2, "Periodic Status Updates"),
    (3, "Periodic Command Polling"),
    (4, "MQTT Alternative (Optional)"),
    (5, "Complete Device Lifecycle State Machine"),
    (6, "Error Handling & Retry Logic"),
    (7, "Data Persistence & Offline Mode"),
    (8, "Security & Authentication"),
    (9, "Monitoring & Alerting"),
    (10, "Example Implementation (Pseudocode)"),
    (11, "Summary Table (frequencies, timeouts, retries)"),
    (12, "API Endpoints Summary"),
];

/// Decisions that checks speak of.
pub const DECISIONS: [(u8, &str); 23] = [
    (2, "A device that proves itself with its token or a signature gets fresh credentials from configure."),
    (
        4,
        "After three failed configures the device shows the error and keeps trying for ever, 300 s up to one hour apart.",
    ),
    (5, "404 means DEVICE_NOT_REGISTERED and sends the device to CONFIGURING."),
    (6, "device_token comes with configure, and a fresh one with a status; from then on that one is used."),
    (9, "X-Device-Signature is HMAC-SHA256 with the text of device_secret over the body's bytes as they are sent."),
    (11, "The identity in the path and in the body is the same one."),
    (12, "The server gives the light its light_id; the device uses it as given."),
    (13, "HTTPS everywhere but on the loopback address."),
    (14, "Without a clock of its own the device keeps the server's time; nothing before 2020 is believed."),
    (17, "A poll does not consume: a command comes again until it is acknowledged, and has one effect per command_id."),
    (
        18,
        "A command whose expires_at is over is not executed; the server_timestamp of the same answer says whether it is.",
    ),
    (19, "The order of the array is the order of execution."),
    (20, "A command that comes again is acknowledged again."),
    (21, "A command that cannot be executed is acknowledged as failed or rejected and costs the others nothing."),
    (23, "next_poll_seconds sets the distance to the next poll: 2 s while a command of high priority waits."),
    (24, "revert_after_seconds lets the device end an override by itself."),
    (25, "ON from sunset to sunrise, across midnight; a lamp whose controller does not know the time burns."),
    (27, "The device deletes only what a 200 covers."),
    (28, "Acknowledgements, alerts and readings have stores of their own; none pushes another out."),
    (29, "What piled up goes to sync (acks, alerts, status, readings, logs), or to the single routes in that order."),
    (30, "A reading that is sent again keeps its timestamp and seq, so that it is counted once."),
    (33, "On a low battery one status at once, then statuses at next_update_seconds (60), polls every 60 s."),
    (35, "A device stays within 2 calls a second and bursts of 20."),
];

pub fn title(section: u8) -> &'static str {
    SECTIONS.iter().find(|(number, _)| *number == section).map_or("", |(_, title)| title)
}

pub fn decision(number: u8) -> Option<&'static str> {
    DECISIONS.iter().find(|(n, _)| *n == number).map(|(_, words)| *words)
}
