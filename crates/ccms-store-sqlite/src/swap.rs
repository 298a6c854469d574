//! One controller takes the place of another: its lights move, its credentials are void, nothing is left for it to do.
use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_store::{AuditEntry, DeviceState, StoreError, StoreResult, Swapped};
use sqlx::SqliteConnection;

use crate::credentials::revoke_on;
use crate::devices::device_on;
use crate::{SqliteStore, audit, enrolment, failed, lights, orders};

pub(crate) async fn swap(
    store: &SqliteStore,
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
    let Some(found) = device_on(&mut tx, old).await? else { return Ok(None) };
    if lights::of_device_on(&mut tx, found.no).await?.is_empty() {
        return Ok(None);
    }
    refuse_one_in_use(&mut tx, new).await?;
    let cancelled = orders::cancel_of_device(&mut tx, found.no, at).await?;
    revoke_on(&mut tx, old).await?;
    let new = enrolment::make_registered(&mut tx, new, at, Some(claim_until)).await?;
    sqlx::query!("UPDATE lights SET device_no = ? WHERE device_no = ?", new.no.0, found.no.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    let lights = lights::of_device_on(&mut tx, new.no).await?;
    let old = device_on(&mut tx, old).await?.ok_or_else(|| StoreError::unavailable("a device of a swap is gone"))?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(Some(Swapped { old, new, lights, cancelled }))
}

async fn refuse_one_in_use(connection: &mut SqliteConnection, new: &DeviceId) -> StoreResult<()> {
    let Some(new) = device_on(connection, new).await? else { return Ok(()) };
    if new.state == DeviceState::Claimed {
        return Err(StoreError::Conflict { what: "a claimed controller with this id" });
    }
    if !lights::of_device_on(connection, new.no).await?.is_empty() {
        return Err(StoreError::Conflict { what: "a light of this controller" });
    }
    Ok(())
}
