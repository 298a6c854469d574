//! What people say of lights, many steps at once: all of them or none.
use async_trait::async_trait;
use ccms_store::{AuditEntry, Curation, CurationDone, CurationStep, DeviceState, StoreError, StoreResult};
use sqlx::PgConnection;

use crate::devices::device_on;
use crate::{Lock, PostgresStore, audit, enrolment, failed, lights, lock};

#[async_trait]
impl Curation for PostgresStore {
    async fn curate(&self, steps: &[CurationStep], audit: &[AuditEntry]) -> StoreResult<Vec<CurationDone>> {
        let mut tx = self.begin().await?;
        // Also for updates: two lists that name the same lights in another order would wait for each other.
        lock(&mut tx, Lock::Numbering).await?;
        let mut taken = Vec::with_capacity(steps.len());
        for step in steps {
            taken.push(take(&mut tx, step).await?);
        }
        audit::insert_all(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        Ok(taken)
    }
}

async fn take(connection: &mut PgConnection, step: &CurationStep) -> StoreResult<CurationDone> {
    match step {
        CurationStep::Register(new) => {
            let (device, light) = enrolment::register_on(connection, new).await?;
            Ok((Some(device), Some(light)))
        }
        CurationStep::AddLight { light_id, device_id, curated, created_at } => {
            let device = match device_id {
                None => None,
                // A pending one is not known to the city, and has no light until it is.
                Some(id) => Some(
                    device_on(connection, id)
                        .await?
                        .filter(|d| d.state != DeviceState::Pending)
                        .ok_or(StoreError::Conflict { what: "a list of devices without this one" })?,
                ),
            };
            let number = device.as_ref().map(|d| d.no);
            let light = lights::insert(connection, light_id.clone(), number, curated, *created_at).await?;
            Ok((device, Some(light)))
        }
        CurationStep::Update { light, curated } => {
            let light = lights::update(connection, *light, curated).await?;
            Ok((None, Some(light.ok_or(StoreError::Conflict { what: "a list of lights without this one" })?)))
        }
        CurationStep::OpenClaimWindow { device_id, until } => {
            enrolment::open_window_on(connection, device_id, *until).await?;
            let device = device_on(connection, device_id).await?;
            Ok((Some(device.ok_or(StoreError::Conflict { what: "a list of devices without this one" })?), None))
        }
    }
}
