//! What the macros read beside the sources.
fn main() {
    println!("cargo:rerun-if-changed=../../migrations/postgres");
    println!("cargo:rerun-if-changed=.sqlx");
    println!("cargo:rerun-if-env-changed=CCMS_PREPARE_POSTGRES_URL");
}
