//! The specification of [`Store`](crate::Store), as cases that every engine runs against fresh databases.
//!
//! An engine's `tests/contract.rs` says how to make a [`Database`] and calls [`contract_tests!`](crate::contract_tests),
//! which makes one test of every case:
//!
//! - [`people`]      users and sessions
//! - [`devices`]     numbering, registering, waiting, claiming
//! - [`readings`]    the log: once each, in order, what was written comes back
//! - [`checkpoint`]  the latest state
//! - [`commands`]    superseding and changes of state
//! - [`audit`]       order, and one transaction with what it tells of
//! - [`samples`]     what the cases are made of
#![allow(clippy::unwrap_used, reason = "here a failed unwrap is a failed case")]
use std::sync::Arc;

use async_trait::async_trait;

use crate::DynStore;

pub mod audit;
pub mod checkpoint;
pub mod commands;
pub mod devices;
pub mod people;
pub mod readings;
pub mod samples;

/// The database of one case.
#[async_trait]
pub trait Database: Send + Sync {
    /// A store on it. The first call finds it empty, a later one finds what was kept.
    async fn open(&self) -> DynStore;
    /// Called once, when every store on it is dropped or the case has failed.
    async fn remove(&self);
}

/// Runs one case and removes its database, also when the case fails.
pub async fn run(database: Arc<dyn Database>, case: impl Future<Output = ()> + Send + 'static) {
    let outcome = tokio::spawn(case).await;
    database.remove().await;
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// One `#[tokio::test]` per case. `$database` is an absolute path to `async fn(case: &str) -> Arc<dyn Database>`.
#[macro_export]
macro_rules! contract_tests {
    ($database:path) => {
        $crate::contract_tests! { $database;
            people: emails_are_unique_whatever_the_case, users_are_found_by_address_and_number,
                sessions_end_at_their_time, a_session_id_is_taken_once;
            devices: numbers_are_dense_and_lights_get_the_next_free_name, a_taken_id_changes_nothing,
                pending_devices_are_counted_and_become_registered, waiting_shows_the_last_seen_first,
                a_claim_window_opens_only_for_a_registered_device, a_device_is_claimed_once,
                reported_facts_are_replaced_but_not_by_strangers, many_registrations_at_once_get_different_numbers;
            readings: every_field_comes_back, a_row_is_stored_once, positions_grow_and_the_log_pages,
                ranges_are_half_open_and_newest_first, latest_goes_by_arrival, overlapping_writers_store_each_row_once,
                a_follower_misses_nothing, a_large_batch_keeps_its_order,
                a_closed_store_keeps_everything;
            checkpoint: the_first_is_empty, rows_are_replaced_and_the_position_moves, a_silent_light_shows_its_last_reading;
            commands: every_field_comes_back, only_the_same_light_and_type_is_superseded,
                a_taken_id_leaves_everything_as_it_was, changes_apply_only_from_the_expected_state,
                lists_are_in_order_and_limited, many_requests_at_once_leave_one_alive;
            audit: newest_first_and_limited, entries_share_the_fate_of_their_change;
        }
    };
    ($database:path; $($area:ident: $($case:ident),+;)+) => { $( mod $area { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let database = $database(concat!(stringify!($area), "_", stringify!($case))).await;
            let case = $crate::contract::$area::$case(database.clone());
            $crate::contract::run(database, case).await;
        }
    )+ } )+ };
}
