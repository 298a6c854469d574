//! What the page of waiting controllers asks of the server. Both need the right to command.
use ccms_core::ids::DeviceId;
use ccms_core::view::PendingDevice;
use leptos::prelude::*;

use crate::error::UiError;

/// Who waits, longest first.
#[server(prefix = "/ui", endpoint = "devices/waiting", output = crate::wire::Json)]
pub async fn waiting() -> Result<Vec<PendingDevice>, UiError> {
    let caller = crate::people::session::Caller::here()?;
    let outcome = async {
        let person = caller.person().await?;
        Ok(caller.ccms.waiting_devices(person.who().may_commission()?).await?)
    };
    caller.answer.with(outcome.await)
}

/// Lets a controller in; it gets its token when it asks the next time.
#[server(prefix = "/ui", endpoint = "devices/approve", output = crate::wire::Json)]
pub async fn approve(device: DeviceId) -> Result<(), UiError> {
    let caller = crate::people::session::Caller::here()?;
    let outcome = async {
        let person = caller.person().await?;
        Ok(caller.ccms.approve_device(person.who().may_commission()?, &device).await?)
    };
    caller.answer.with(outcome.await)
}
