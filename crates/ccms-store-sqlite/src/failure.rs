//! Which errors of SQLite end the trust in its file, and which may pass.
//!
//! After a flush that failed the kernel may have dropped what was to be written, and calls the next flush good. A write that
//! failed half-way, and pages that are not what they must be, are no better. A full disk is none of these: SQLite takes the
//! transaction back, and the next one may find room.

/// Extended result codes of the system's calls for writing. A read that failed is not among them: it says nothing untrue, and one bad
/// sector of an old day must not end the service. Neither is the shared index (`SHMSIZE`), which fails on a full disk.
const WRITES: [i32; 5] = [
    778,  // IOERR_WRITE; without room it is FULL
    1034, // IOERR_FSYNC
    1290, // IOERR_DIR_FSYNC
    1546, // IOERR_TRUNCATE
    8458, // IOERR_CORRUPTFS
];
/// Primary result codes: pages, or the whole file, are no database.
const DAMAGED: [i32; 2] = [
    11, // CORRUPT
    26, // NOTADB
];

pub(crate) fn is_final(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(is_final_code)
}

/// The lower eight bits of an extended code are the primary one.
fn is_final_code(code: i32) -> bool {
    WRITES.contains(&code) || DAMAGED.contains(&(code & 0xff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_flush_and_a_damaged_file_are_final_and_a_full_disk_is_not() {
        let corrupt_index = 779;
        for code in [778, 1034, 1290, 1546, 8458, 11, corrupt_index, 26] {
            assert!(is_final_code(code), "{code}");
        }
        let (busy, readonly, read, full, unique, shmsize, nomem) = (5, 8, 266, 13, 2067, 4874, 3082);
        for code in [busy, readonly, read, full, unique, shmsize, nomem, 1, 10] {
            assert!(!is_final_code(code), "{code}");
        }
    }
}
