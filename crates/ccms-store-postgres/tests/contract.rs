//! The contract of the store, on PostgreSQL: every case in a database of its own.
mod server;

ccms_store::contract_tests!(crate::server::database);
