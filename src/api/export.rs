//! Every light that the caller sees, as a file: CSV for a spreadsheet, GeoJSON for a map. Both can be taken in again.
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::columns::{self, Cell, NAMES, guarded};
use super::problem::Problem;

/// Begins a CSV file, so that spreadsheets read it as UTF-8.
const BOM: &str = "\u{feff}";

pub async fn csv(call: Call) -> Result<Response, Problem> {
    nothing_asked(&call)?;
    let lights = call.ccms().export_lights(call.who().may_view()?).await?;
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(BOM.as_bytes().to_vec());
    let mut write = |cells: Vec<String>| writer.write_record(&cells).map_err(failed);
    write(NAMES.map(str::to_owned).to_vec())?;
    for (light, device) in &lights {
        let text = |cell| match cell {
            Cell::Text(text) => guarded(&text),
            Cell::Number(number) => number.to_string(),
        };
        write(columns::cells(light, device.as_ref()).map(text).to_vec())?;
    }
    let bytes = writer.into_inner().map_err(|_| failed("the file could not be finished"))?;
    Ok(file(bytes, "text/csv; charset=utf-8", "attachment; filename=\"lights.csv\""))
}

pub async fn geojson(call: Call) -> Result<Response, Problem> {
    nothing_asked(&call)?;
    let lights = call.ccms().export_lights(call.who().may_view()?).await?;
    let features: Vec<Value> = lights
        .iter()
        .map(|(light, device)| {
            let c = &light.curated;
            let geometry = match (c.latitude, c.longitude) {
                (0.0, 0.0) => Value::Null,
                (latitude, longitude) => json!({"type": "Point", "coordinates": [longitude, latitude]}),
            };
            let cells = NAMES.into_iter().zip(columns::cells(light, device.as_ref()));
            let properties: Map<String, Value> = cells
                .filter(|(name, _)| !matches!(*name, "latitude" | "longitude"))
                .map(|(name, cell)| match cell {
                    Cell::Number(number) => (name.to_owned(), json!(number)),
                    Cell::Text(text) if text.is_empty() && matches!(name, "device_id" | "wattage") => {
                        (name.to_owned(), Value::Null)
                    }
                    Cell::Text(text) => (name.to_owned(), Value::String(text)),
                })
                .collect();
            json!({"type": "Feature", "id": light.id, "geometry": geometry, "properties": properties})
        })
        .collect();
    let bytes = serde_json::to_vec(&json!({"type": "FeatureCollection", "features": features})).map_err(failed)?;
    Ok(file(bytes, "application/geo+json", "attachment; filename=\"lights.geojson\""))
}

fn nothing_asked(call: &Call) -> Result<(), Problem> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    call.params::<Nothing>().map(|_| ())
}

fn file(bytes: Vec<u8>, kind: &'static str, disposition: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition)),
    ];
    (StatusCode::OK, headers, bytes).into_response()
}

fn failed(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "an export could not be written");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The file could not be written.")
}
