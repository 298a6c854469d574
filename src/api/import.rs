//! A file of devices and lights, CSV or GeoJSON, taken in as a whole. With `dry_run=true` nothing is written and the answer
//! is 200 with every bad row; without it a file with a bad row is refused as a whole with 422, and the same list.
//!
//! CSV as spreadsheets write it: UTF-8 with or without a mark at the beginning, commas or semicolons, cells in quotes, lines
//! ended either way. The first row names the columns, in any order and number; columns that are not known are passed over and
//! listed in the answer. Every other row has as many cells as the first: one more or less, and nobody knows which is which.
use axum::http::StatusCode;
use axum::response::Response;
use ccms_service::catalogue::{ImportError, ImportRow};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::{Call, json};
use super::columns::{self, NAMES, unguarded};
use super::devices::check_claim_hours;
use super::fields::not_json;
use super::problem::{Flaw, Problem};
use super::sheet::{CELLS_MAX, Rows, SheetRow};

/// Rows of one file; larger cities send several.
pub const ROWS_MAX: usize = 20_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    dry_run: bool,
    claim_hours: Option<u32>,
}

#[derive(Serialize)]
struct Report {
    created: u32,
    updated: u32,
    errors: Vec<Flaw>,
    warnings: Vec<Flaw>,
    dry_run: bool,
    ignored_columns: Vec<String>,
}

/// What was read of a file.
#[derive(Default)]
struct File {
    rows: Vec<ImportRow>,
    errors: Vec<ImportError>,
    ignored_columns: Vec<String>,
    /// Of this file, good and bad.
    counted: usize,
}

impl File {
    fn count_row(&mut self) -> Result<(), Problem> {
        self.counted += 1;
        if self.counted > ROWS_MAX {
            let detail = format!("The file has more than {ROWS_MAX} rows. Send it in parts.");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Ok(())
    }
}

pub async fn lights(call: Call) -> Result<Response, Problem> {
    let may = call.who().may_commission()?;
    let wish: Wish = call.params()?;
    check_claim_hours(wish.claim_hours)?;
    let file = match call.content_type().as_deref() {
        Some("text/csv" | "application/csv" | "text/plain") => read_csv(&call.body)?,
        Some("application/geo+json" | "application/json" | "application/vnd.geo+json") => read_geojson(&call.body)?,
        _ => {
            let detail = "Send text/csv or application/geo+json.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    let report = call.ccms().import_lights(may, &file.rows, file.errors, wish.dry_run, wish.claim_hours).await?;
    let flaws = |of: Vec<ImportError>| -> Vec<Flaw> { of.into_iter().map(flaw).collect() };
    let (errors, warnings) = (flaws(report.errors), flaws(report.warnings));
    if !wish.dry_run && !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let (created, updated) = (report.created, report.updated);
    let (dry_run, ignored_columns) = (wish.dry_run, file.ignored_columns);
    let report = Report { created, updated, errors, warnings, dry_run, ignored_columns };
    Ok(json(StatusCode::OK, &report))
}

fn flaw(error: ImportError) -> Flaw {
    Flaw { row: Some(error.row), column: Some(error.column), field: None, message: error.message }
}

fn read_csv(bytes: &[u8]) -> Result<File, Problem> {
    let mut rows = Rows::new(bytes).zip(1..).filter(|(row, _)| !row.is_blank());
    let Some((header, _)) = rows.next() else {
        return Err(Problem::malformed("The file is empty; its first row names the columns."));
    };
    let mut file = File::default();
    let columns = columns_of(&header, &mut file)?;
    for (cells, row) in rows {
        file.count_row()?;
        let mut bad = |column: &str, message: String| {
            file.errors.push(ImportError { row, column: column.to_owned(), message });
        };
        if let Some((cell, why)) = cells.broken {
            bad(columns.get(cell).map_or("", String::as_str), why.to_owned());
            continue;
        }
        if cells.count != columns.len() {
            let (few, many) = (cells.count, columns.len());
            bad("", format!("The row has {few} cells and the header {many}; a cell that says nothing stays empty."));
            continue;
        }
        let mut parsed = ImportRow { row, ..ImportRow::default() };
        for (column, cell) in columns.iter().zip(&cells.cells) {
            let put = match std::str::from_utf8(cell) {
                Ok(text) => columns::put(&mut parsed, column, unguarded(text.trim_matches(' '))),
                Err(_) => Err("This is not UTF-8.".to_owned()),
            };
            if let Err(message) = put {
                parsed.bad_cells.push(ImportError { row, column: column.clone(), message });
            }
        }
        file.rows.push(parsed);
    }
    Ok(file)
}

fn columns_of(header: &SheetRow, file: &mut File) -> Result<Vec<String>, Problem> {
    if let Some((_, why)) = header.broken {
        return Err(Problem::malformed(format!("The first row cannot be read: {why}")));
    }
    if header.count > CELLS_MAX {
        return Err(Problem::malformed(format!("The first row names more than {CELLS_MAX} columns.")));
    }
    let names: Vec<String> =
        header.cells.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_ascii_lowercase()).collect();
    file.ignored_columns = names.iter().filter(|n| !NAMES.contains(&n.as_str())).cloned().collect();
    if !names.iter().any(|n| n == "device_id" || n == "light_id") {
        return Err(Problem::malformed("The first row names no column device_id or light_id."));
    }
    if let Some(twice) = names.iter().enumerate().find(|(i, n)| NAMES.contains(&n.as_str()) && names[..*i].contains(n))
    {
        return Err(Problem::malformed(format!("The first row names {} twice.", twice.1)));
    }
    Ok(names)
}

fn read_geojson(bytes: &[u8]) -> Result<File, Problem> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| not_json(bytes, &e))?;
    let features = match value.get("type").and_then(Value::as_str) {
        Some("FeatureCollection") => value.get("features").and_then(Value::as_array).cloned(),
        Some("Feature") => Some(vec![value]),
        _ => None,
    };
    let features = features
        .ok_or_else(|| Problem::invalid_field("type", "Send a GeoJSON FeatureCollection with an array of features."))?;
    let mut file = File::default();
    for (feature, row) in features.iter().zip(1..) {
        file.count_row()?;
        match feature.get("properties").and_then(Value::as_object) {
            Some(properties) => file.rows.push(feature_row(row, feature, properties)),
            None => {
                let message = "The feature has no properties.".to_owned();
                file.errors.push(ImportError { row, column: String::new(), message });
            }
        }
    }
    Ok(file)
}

fn feature_row(row: u32, feature: &Value, properties: &Map<String, Value>) -> ImportRow {
    let error = |column: &str, message: &str| ImportError { row, column: column.into(), message: message.into() };
    let mut parsed = ImportRow { row, ..ImportRow::default() };
    for (name, value) in properties.iter().filter(|(name, _)| NAMES.contains(&name.as_str())) {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => {
                parsed.bad_cells.push(error(name, "A property is a text, a number or null."));
                continue;
            }
        };
        if let Err(message) = columns::put(&mut parsed, name, &text) {
            parsed.bad_cells.push(error(name, &message));
        }
    }
    match feature.get("geometry") {
        None | Some(Value::Null) => {}
        Some(geometry) => {
            let at = geometry.get("coordinates").and_then(Value::as_array);
            let degree = |i: usize| at.and_then(|a| a.get(i)).and_then(Value::as_f64);
            match (geometry.get("type").and_then(Value::as_str), degree(0), degree(1)) {
                (Some("Point"), Some(lon), Some(lat)) => (parsed.longitude, parsed.latitude) = (Some(lon), Some(lat)),
                _ => parsed.bad_cells.push(error("geometry", "A light is a Point with [longitude, latitude].")),
            }
        }
    }
    parsed
}
