//! Controllers that asked to be let in and wait for a person. Under open enrolment nobody waits; under registered
//! enrolment a controller that is unknown, or whose claim window is closed, waits here until an operator lets it in.
//! While the page is seen it looks again every 15 seconds; nothing on the event stream tells of devices that wait.
//!
//! Authorisation: [`waiting`] and [`approve`] need the right to command; the page is not in a viewer's rail.
mod api;
mod page;

pub use api::{Approve, Waiting, approve, waiting};
pub use page::DevicesPage;
