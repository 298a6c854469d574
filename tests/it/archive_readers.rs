//! A file of the archive, read by programs that know nothing of us: the two lines of the README, word for word but for the
//! folder, tell every reading as it was stored. `CCMS_TEST_PYTHON` is a Python that has `duckdb` and `pyarrow`, the library that
//! pandas reads such files with; `scripts/test` provides it.
use std::path::Path;
use std::process::Command;

use ccms_core::ids::LightNo;
use ccms_core::reading::{PowerState, ReadingFlags};
use serde_json::{Value, json};

use crate::city::City;
use crate::sealing::city_with_a_past;

const LATER_S: i64 = 40 * 86_400;

const DUCKDB: &str = "
import duckdb, json, sys
db = duckdb.connect()
db.execute(\"SET TimeZone = 'UTC'\")
query = sys.argv[1]
print(json.dumps(db.execute(query).fetchall(), default=str))
";

const PYARROW: &str = "
import json, sys, pyarrow.dataset, pyarrow.parquet
rows = []
for file in sorted(sys.argv[2:]):
    rows += pyarrow.parquet.read_table(file, filters=[('light_no', '=', int(sys.argv[1]))]).to_pylist()
print(json.dumps([[row['light_id'], row['energy_kwh']] for row in rows], default=str))
";

fn python(python: &str, program: &str, arguments: &[String]) -> Vec<Vec<Value>> {
    let output = Command::new(python).args(["-I", "-c", program]).args(arguments).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("rows")
}

fn files(archive: &Path) -> Vec<String> {
    let inside = |path: &Path| std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    inside(archive).flat_map(|year| inside(&year).collect::<Vec<_>>()).map(|file| file.display().to_string()).collect()
}

/// A fixed-point number as a decimal of so many places.
fn decimal(value: Option<i64>, places: usize) -> Value {
    let Some(value) = value else { return Value::Null };
    let one = 10_i64.pow(places as u32);
    let sign = if value < 0 { "-" } else { "" };
    json!(format!("{sign}{}.{:0places$}", value.abs() / one, value.abs() % one))
}

on_both! {
    async fn others_read_the_files(engine) {
        let Ok(interpreter) = std::env::var("CCMS_TEST_PYTHON") else {
            eprintln!("NOT TESTED: files of the archive read by DuckDB and pyarrow (CCMS_TEST_PYTHON is not set)");
            return;
        };
        let (city, _, _): (City, _, _) = city_with_a_past(engine).await;
        city.waits(LATER_S);
        city.ccms.seal().await.expect("sealed");
        let mut stored = city.stored().await;
        // Readings whose clock nobody believes stay in the log until they go.
        stored.retain(|row| row.light_no == LightNo(1) && !row.reading.flags.has(ReadingFlags::CLOCK_SUSPECT));
        stored.sort_by_key(|row| row.reading.reported_at);
        assert!(city.ccms.archive().await.expect("archived").days > 0);
        let archive = city.data_dir().join("archive");

        let query = format!(
            "SELECT light_id, reported_at, power_w, epoch_ms(reported_at), power_state, temperature_c, voltage_v, current_a, \
                energy_kwh FROM '{}/*/*.parquet' WHERE light_id = 'SL001' ORDER BY reported_at",
            archive.display()
        );
        let told = python(&interpreter, DUCKDB, &[query]);
        assert_eq!(told.len(), stored.len());
        for (told, row) in told.iter().zip(&stored) {
            let r = &row.reading;
            assert!(told[1].as_str().is_some_and(|at| at.ends_with("+00:00")), "{told:?}: no time of a zone");
            let expected = [
                decimal(r.power_dw.map(i64::from), 1),
                json!(r.reported_at.0),
                json!(r.power_state.map(PowerState::as_str)),
                decimal(r.temperature_dc.map(i64::from), 1),
                decimal(r.voltage_dv.map(i64::from), 1),
                decimal(r.current_ma.map(i64::from), 3),
                decimal(r.energy_wh, 3),
            ];
            assert_eq!((&told[0], &told[2..]), (&json!("SL001"), &expected[..]));
        }

        let told = python(&interpreter, PYARROW, &[vec!["1".to_owned()], files(&archive)].concat());
        let expected: Vec<_> = stored.iter().map(|row| vec![json!("SL001"), decimal(row.reading.energy_wh, 3)]).collect();
        assert_eq!(told, expected);
    }
}
