//! The specification of [`Store`](crate::Store), as cases that every engine runs against fresh databases.
//!
//! An engine's `tests/contract.rs` says how to make a [`Database`] and calls [`contract_tests!`](crate::contract_tests),
//! which makes one test of every case:
//!
//! - [`people`]      users and sessions
//! - [`access`]      API keys, answers given twice, people's changes, commands by the dozen
//! - [`devices`]     numbering, registering, waiting, claiming
//! - [`credentials`] how they end, and how a device comes back
//! - [`swap`]        one controller for another
//! - [`curation`]    what people say of lights, many changes as one
//! - [`readings`]    the log: once each, in order, what was written comes back
//! - [`checkpoint`]  the latest state
//! - [`sealing`]     days that leave the log for blocks
//! - [`rollups`]     what they came to
//! - [`upkeep`]      looking through everything
//! - [`sharing`]     one lease, records by number
//! - [`archive`]     days that leave the database for files
//! - [`uploads`]     log texts, unreadable messages, firmware reports, suspect clocks
//! - [`alerts`]      one per device, light and kind
//! - [`commands`]    superseding and changes of state
//! - [`audit`]       order, and one transaction with what it tells of
//! - [`chain`]       every entry linked to the one before it
//! - [`samples`]     what the cases are made of
#![allow(clippy::unwrap_used, reason = "here a failed unwrap is a failed case")]
use std::sync::Arc;

use async_trait::async_trait;

use crate::DynStore;

pub mod access;
pub mod alerts;
pub mod archive;
pub mod audit;
pub mod chain;
pub mod checkpoint;
pub mod commands;
pub mod credentials;
pub mod curation;
pub mod devices;
pub mod people;
pub mod readings;
pub mod rollups;
pub mod samples;
pub mod sealing;
pub mod sharing;
pub mod swap;
pub mod upkeep;
pub mod uploads;

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
            devices: numbers_are_dense_and_lights_get_the_next_free_name, lists_go_on_behind_a_number, a_taken_id_changes_nothing,
                pending_devices_are_counted_and_become_registered,
                a_crowd_at_the_door_is_one_write_and_forgotten_by_rules, waiting_shows_the_last_seen_first,
                a_claim_window_opens_only_for_a_registered_device, a_device_is_claimed_once,
                reported_facts_are_replaced_but_not_by_strangers, many_registrations_at_once_get_different_numbers;
            readings: every_field_comes_back, a_row_is_stored_once, positions_grow_and_the_log_pages,
                ranges_are_half_open_and_newest_first, latest_goes_by_arrival, overlapping_writers_store_each_row_once,
                a_follower_misses_nothing, a_large_batch_keeps_its_order,
                a_closed_store_keeps_everything;
            checkpoint: the_first_is_empty, it_never_claims_less_than_before, rows_are_replaced_and_the_position_moves, a_silent_light_shows_its_last_reading;
            rollups: a_day_is_kept_with_its_block_or_not_at_all, what_a_day_came_to_is_kept_until_it_changes, what_lost_its_readings_is_found, ledgers_are_those_of_registered_lights,
                a_moment_is_found_in_the_log;
            sealing: a_day_is_found_by_its_own_time_where_that_can_be_believed,
                what_is_forgotten_is_gone_and_its_place_is_never_given_again, whose_clock_was_suspect_is_forgotten_by_arrival, rows_of_some_lights_may_stay, a_block_takes_the_place_of_the_one_before_it,
                of_many_sealers_one_wins;
            upkeep: a_new_database_is_whole_and_empty, everything_is_counted, blocks_page_by_light_and_day,
                a_copy_is_of_an_embedded_database;
            sharing: records_are_found_by_number, one_holds_the_lease;
            archive: blocks_are_found_and_paged_by_day, a_file_is_recorded_once_and_replaced_in_turn, a_file_that_is_there_already_is_adopted,
                only_blocks_that_were_archived_are_removed, blocks_that_are_wanted_stay;
            commands: every_field_comes_back, only_the_same_light_and_type_is_superseded,
                a_taken_id_leaves_everything_as_it_was, changes_apply_only_from_the_expected_state,
                each_step_keeps_our_own_time, restarts_are_counted_by_controller,
                lists_are_in_order_and_limited, many_requests_at_once_leave_one_alive;
            access: keys_are_found_by_hash_until_revoked, the_first_answer_stays,
                commands_and_their_answer_are_one_change, people_change_and_are_signed_out,
                many_commands_are_one_change, a_live_command_is_cancelled_once;
            credentials: the_highest_generation_stays, revoking_voids_everything_once,
                one_that_was_refused_can_be_registered_later, release_needs_a_light_and_credentials,
                a_reclaim_window_is_taken_once, registering_again_meets_a_race, outages_are_remembered;
            swap: lights_move_and_the_old_one_is_void, the_new_one_may_have_asked_already, what_cannot_be_swapped_stays,
                one_place_is_taken_by_one_of_many;
            curation: every_fact_comes_back, one_bad_step_undoes_all, claim_windows_open_with_the_rest,
                one_of_two_like_lists_wins;
            uploads: the_newest_logs_stay, the_newest_unreadable_messages_stay, the_last_firmware_report_stands,
                suspect_readings_are_found_by_arrival;
            alerts: the_same_again_counts, another_device_light_or_kind_is_another, alerts_only_move_on,
                lists_are_filtered_and_paged, what_was_said_before_changes_nothing, a_zone_pages_through_its_own,
                many_at_once_open_one;
            chain: every_change_adds_a_link, what_is_refused_leaves_no_link, writers_at_once_make_one_chain;
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
