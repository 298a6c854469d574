//! One controller takes the place of another: its lights move, its credentials are void, nothing is left for it to do.
use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_store::{AuditEntry, DeviceState, StoreError, StoreResult, Swapped};
use sqlx::PgConnection;

use crate::credentials::revoke_on;
use crate::devices::device_on;
use crate::{Lock, PostgresStore, audit, commands, enrolment, failed, lights, lock};

pub(crate) async fn swap(
    store: &PostgresStore,
    old: &DeviceId,
    new: &DeviceId,
    at: UtcMillis,
    claim_until: UtcMillis,
    audit: &AuditEntry,
) -> StoreResult<Option<Swapped>> {
    if old == new {
        return Err(StoreError::Conflict { what: "a light of the same controller" });
    }
    let mut tx = store.begin().await?;
    lock(&mut tx, Lock::Numbering).await?;
    lock(&mut tx, Lock::Commands).await?;
    let Some(found) = device_on(&mut tx, old).await? else { return Ok(None) };
    if !lights::any_of(&mut tx, found.no).await? {
        return Ok(None);
    }
    refuse_one_in_use(&mut tx, new).await?;
    let cancelled = commands::cancel_of_device(&mut tx, found.no, at).await?;
    // One that was revoked before stays as it is.
    let old = revoke_on(&mut tx, old).await?.unwrap_or(found);
    let new = enrolment::make_registered(&mut tx, new, at, Some(claim_until))
        .await?
        .ok_or(StoreError::Conflict { what: "a controller in use with this id" })?;
    let lights = lights::hand_over(&mut tx, old.no, new.no).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(Some(Swapped { old, new, lights, cancelled }))
}

async fn refuse_one_in_use(connection: &mut PgConnection, new: &DeviceId) -> StoreResult<()> {
    let Some(new) = device_on(connection, new).await? else { return Ok(()) };
    if new.state == DeviceState::Claimed {
        return Err(StoreError::Conflict { what: "a claimed controller with this id" });
    }
    if lights::any_of(connection, new.no).await? {
        return Err(StoreError::Conflict { what: "a light of this controller" });
    }
    Ok(())
}
