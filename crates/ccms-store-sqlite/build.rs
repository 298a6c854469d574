//! What the macros read beside the sources.
fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
    println!("cargo:rerun-if-changed=.sqlx");
    println!("cargo:rerun-if-env-changed=CCMS_PREPARE_SQLITE_URL");
}
