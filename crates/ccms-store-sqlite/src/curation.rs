//! Many changes of lights in one transaction: all of them, or none.
use async_trait::async_trait;
use ccms_core::ids::{DeviceId, LightId};
use ccms_core::time::UtcMillis;
use ccms_store::{AuditEntry, Curated, Curation, CurationDone, CurationStep, DeviceState, StoreError, StoreResult};
use sqlx::SqliteConnection;

use crate::devices::device_on;
use crate::{SqliteStore, audit, enrolment, failed, lights};

#[async_trait]
impl Curation for SqliteStore {
    async fn curate(&self, steps: &[CurationStep], audit: &[AuditEntry]) -> StoreResult<Vec<CurationDone>> {
        let mut tx = self.begin().await?;
        let mut done = Vec::with_capacity(steps.len());
        for step in steps {
            done.push(take(&mut tx, step.clone()).await?);
        }
        for entry in audit {
            audit::insert(&mut tx, entry).await?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(done)
    }
}

async fn take(connection: &mut SqliteConnection, step: CurationStep) -> StoreResult<CurationDone> {
    match step {
        CurationStep::Register(new) => {
            let (device, light) = enrolment::register_on(connection, new).await?;
            Ok((Some(device), Some(light)))
        }
        CurationStep::AddLight { light_id, device_id, curated, created_at } => {
            add(connection, light_id, device_id, curated, created_at).await
        }
        CurationStep::Update { light, curated } => {
            lights::curate(connection, light, &curated).await?;
            let light = lights::light_on(connection, light).await?;
            Ok((None, Some(light.ok_or(StoreError::Conflict { what: "a list of lights without this one" })?)))
        }
        CurationStep::OpenClaimWindow { device_id, until } => {
            enrolment::open_window_on(connection, &device_id, until).await?;
            let device = device_on(connection, &device_id).await?;
            Ok((Some(device.ok_or(StoreError::Conflict { what: "a list of devices without this one" })?), None))
        }
    }
}

async fn add(
    connection: &mut SqliteConnection,
    light_id: Option<LightId>,
    device_id: Option<DeviceId>,
    curated: Curated,
    created_at: UtcMillis,
) -> StoreResult<CurationDone> {
    let device = match device_id {
        None => None,
        // One that only asked to be let in is not known yet.
        Some(id) => Some(
            device_on(connection, &id)
                .await?
                .filter(|d| d.state != DeviceState::Pending)
                .ok_or(StoreError::Conflict { what: "a list of devices without this one" })?,
        ),
    };
    let light = lights::insert(connection, light_id, device.as_ref().map(|d| d.no), curated, created_at).await?;
    Ok((device, Some(light)))
}
