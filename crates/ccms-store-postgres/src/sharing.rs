//! Several server processes on this database: the lease, and what one process changed on its way to the others. The notices
//! themselves are sent by triggers (migration 18), in the transaction that changes something. The log has none: it is
//! followed by its positions, because a notice takes a lock of the whole database server at the commit.
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{DeviceRecord, LightRecord, Notice, Notices, Sharing, StoreResult};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::mpsc;

use crate::devices::DeviceColumns;
use crate::lights::LightColumns;
use crate::{PostgresStore, commands, failed};

/// The channel of the triggers.
const CHANNEL: &str = "ccms";
/// Bytes of one notice of ours; the database takes 8,000.
const NOTICE_BYTES: usize = 7_000;
/// Notices that wait to be taken up; the rest waits in the database.
const NOTICES_WAITING: usize = 1_024;
/// Every process tells something every few seconds, itself included: who hears nothing for so long is not connected any more,
/// whatever the socket says.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Distance between attempts to connect again.
const CONNECT_AGAIN: Duration = Duration::from_millis(500);

/// A name for this handle among all that use the database.
pub(crate) fn new_origin() -> String {
    format!("ccms-{:016x}", RandomState::new().build_hasher().finish())
}

#[async_trait]
impl Sharing for PostgresStore {
    async fn hold_lease(&self, for_ms: u32) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        // Nothing hangs on it after a crash of the database, and a flush every second would be for nothing.
        sqlx::query!("SET LOCAL synchronous_commit = off").execute(&mut *tx).await.map_err(failed)?;
        let held = sqlx::query!(
            "INSERT INTO server_lease (one, holder, until)
             VALUES (1, $1, clock_timestamp() + $2::double precision * interval '1 millisecond')
             ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until
               WHERE server_lease.holder = excluded.holder OR server_lease.until <= clock_timestamp()",
            self.origin,
            f64::from(for_ms)
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(held.rows_affected() == 1)
    }

    async fn leave_lease(&self) -> StoreResult<()> {
        sqlx::query!("DELETE FROM server_lease WHERE holder = $1", self.origin)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn notices(&self) -> StoreResult<Notices> {
        let (notices, receiver) = mpsc::channel(NOTICES_WAITING);
        let (options, origin) = (self.options.clone(), self.origin.clone());
        tokio::spawn(async move {
            while !notices.is_closed() {
                if let Err(error) = listen(&options, &origin, &notices).await {
                    tracing::warn!(%error, "notices of other processes are not heard; connecting again");
                }
                tokio::select! {
                    () = tokio::time::sleep(CONNECT_AGAIN) => {}
                    () = notices.closed() => {}
                }
            }
        });
        Ok(receiver)
    }

    async fn tell_contacts(&self, heard: &[(DeviceNo, UtcMillis)]) -> StoreResult<()> {
        let head = format!("{} contacts ", self.origin);
        let mut told = vec![head.clone()];
        for (device, at) in heard {
            let one = format!("{}:{},", device.0, at.0);
            match told.last_mut() {
                Some(last) if last.len() + one.len() <= NOTICE_BYTES => last.push_str(&one),
                _ => told.push(format!("{head}{one}")),
            }
        }
        sqlx::query!("SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload", CHANNEL, &told)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn devices_of(&self, numbers: &[DeviceNo]) -> StoreResult<Vec<DeviceRecord>> {
        let numbers: Vec<i64> = numbers.iter().map(|no| no.0.into()).collect();
        sqlx::query_as!(DeviceColumns, "SELECT * FROM devices WHERE no = ANY($1) ORDER BY no", &numbers)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?
            .into_iter()
            .map(DeviceColumns::record)
            .collect()
    }

    async fn lights_of(&self, numbers: &[LightNo]) -> StoreResult<Vec<LightRecord>> {
        let numbers: Vec<i64> = numbers.iter().map(|no| no.0.into()).collect();
        sqlx::query_as!(
            LightColumns,
            "SELECT no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
                 created_at
             FROM lights WHERE no = ANY($1) ORDER BY no",
            &numbers
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(LightColumns::record)
        .collect()
    }

    async fn live_commands_of(&self, devices: &[DeviceNo]) -> StoreResult<Vec<Command>> {
        commands::live_of(self, devices).await
    }
}

/// Passes notices on until nobody takes them (then all is well) or the connection is lost.
async fn listen(options: &PgConnectOptions, origin: &str, notices: &mpsc::Sender<Notice>) -> sqlx::Result<()> {
    // Its own connection: it must not wait for one behind requests, nor keep one from them.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone())
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    // From here on nothing is missed; what was before, nobody told.
    if notices.send(Notice::Everything).await.is_err() {
        return Ok(());
    }
    loop {
        let heard = tokio::select! {
            heard = tokio::time::timeout(SILENCE_MAX, listener.try_recv()) => heard,
            () = notices.closed() => return Ok(()),
        };
        let lost = |why: &str| sqlx::Error::Protocol(why.to_owned());
        let heard = heard.map_err(|_| lost("nothing was heard for too long"))??.ok_or(lost("the connection ended"))?;
        if let Some(notice) = read(heard.payload(), origin)
            && notices.send(notice).await.is_err()
        {
            return Ok(());
        }
    }
}

/// What a notice means to `own`; `None` when nothing. One that cannot be read may have meant anything.
fn read(payload: &str, own: &str) -> Option<Notice> {
    // The name comes first and may be anything when a person at psql changed something.
    let mut parts = payload.rsplitn(3, ' ');
    let (list, kind, origin) = (parts.next()?, parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_own = origin == own;
    let notice = match kind {
        "commands" if is_own => return None,
        "commands" => numbers(list).map(|all| Notice::Commands(all.map(|all| all.into_iter().map(DeviceNo).collect()))),
        "devices" => numbers(list).map(|all| Notice::Devices(all.map(|all| all.into_iter().map(DeviceNo).collect()))),
        "lights" => numbers(list).map(|all| Notice::Lights(all.map(|all| all.into_iter().map(LightNo).collect()))),
        "alerts" if is_own => return None,
        "alerts" => numbers(list).map(|all| Notice::Alerts(all.unwrap_or_default())),
        "contacts" if is_own => return None,
        "contacts" => contacts(list).map(Notice::Contacts),
        _ => None,
    };
    Some(notice.unwrap_or(Notice::Everything))
}

/// `Some(None)` is all of them; `None` is no list.
fn numbers<N: std::str::FromStr>(list: &str) -> Option<Option<Vec<N>>> {
    if list == "*" {
        return Some(None);
    }
    list.split(',').map(|no| no.parse().ok()).collect::<Option<_>>().map(Some)
}

fn contacts(list: &str) -> Option<Vec<(DeviceNo, UtcMillis)>> {
    let one = |one: &str| {
        let (device, at) = one.split_once(':')?;
        Some((DeviceNo(device.parse().ok()?), UtcMillis(at.parse().ok()?)))
    };
    list.split_terminator(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_or_stands_for_everything() {
        let devices = |all: &[u32]| Some(all.iter().copied().map(DeviceNo).collect::<Vec<_>>());
        for (payload, meant) in [
            ("other commands 1,2", Some(Notice::Commands(devices(&[1, 2])))),
            ("other commands *", Some(Notice::Commands(None))),
            ("own commands 1", None),
            ("own devices 7", Some(Notice::Devices(devices(&[7])))),
            ("a tool with spaces lights 3", Some(Notice::Lights(Some(vec![LightNo(3)])))),
            (" alerts 9", Some(Notice::Alerts(vec![9]))),
            ("own alerts 9", None),
            ("other alerts *", Some(Notice::Alerts(vec![]))),
            (
                "other contacts 4:1000,5:-2,",
                Some(Notice::Contacts(vec![(DeviceNo(4), UtcMillis(1000)), (DeviceNo(5), UtcMillis(-2))])),
            ),
            ("other contacts ", Some(Notice::Contacts(vec![]))),
            ("own contacts ", None),
            ("other lights x", Some(Notice::Everything)),
            ("of a later release", Some(Notice::Everything)),
            ("", Some(Notice::Everything)),
        ] {
            assert_eq!(read(payload, "own"), meant, "{payload:?}");
        }
    }
}
