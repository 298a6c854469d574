//! `GET /api/openapi.json`: both APIs described, in OpenAPI 3.1.
//!
//! What a route takes and answers when all is well is written by hand in `openapi/operator.json` and `openapi/device.json`, with
//! the shapes in `openapi/schemas.json`. What all routes have in common is added here from the tables that the routers are made
//! of: parameters of the path, proofs, rights, and every way of being refused. A route without its description, or the other way
//! round, fails a test; whether the shapes are true is what schemathesis finds out on a running server.
use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderValue, Method, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use ccms_service::Permission;
use serde_json::{Map, Value, json};

use super::idempotency::KEY_CHARS_MAX;
use super::routes::{ROUTES, Route};
use crate::device_api;

const OPERATOR: &str = include_str!("openapi/operator.json");
const DEVICE: &str = include_str!("openapi/device.json");
const SCHEMAS: &str = include_str!("openapi/schemas.json");

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| serde_json::to_vec(&document()).unwrap_or_default().into());

pub(super) fn routes() -> Router {
    let description = || async {
        let kind = HeaderValue::from_static("application/json");
        (
            [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))],
            DOCUMENT.clone(),
        )
            .into_response()
    };
    Router::new().route("/api/openapi.json", get(description)).merge(super::page::routes())
}

pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut put = |path: String, method: &Method, operation: Value| {
        let place = paths.entry(path).or_insert_with(|| json!({}));
        place[method.as_str().to_lowercase()] = operation;
    };
    let (operator, device) = (read(OPERATOR), read(DEVICE));
    for route in ROUTES {
        let written = &operator[format!("{} {}", route.method, route.template)];
        put(format!("/api/v1{}", route.template), &route.method, operator_operation(route, written.clone()));
    }
    for route in &device_api::ROUTES {
        let written = &device[format!("{} {}", route.method, route.name)];
        put(format!("/api/device/{{device_id}}/{}", route.name), &route.method, device_operation(written.clone()));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "CCMS",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": ABOUT,
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "tags": TAGS.map(|name| json!({"name": name})),
        "paths": paths,
        "components": {
            "schemas": read(SCHEMAS),
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: ccms_…"},
                "deviceToken": {"type": "http", "scheme": "bearer", "description": "A device's own token."},
            },
        },
    })
}

const TAGS: [&str; 7] = ["Lights", "Devices", "Commands", "Alerts", "Events", "Import and export", "Device contract"];
const ABOUT: &str = "Control and monitoring of street lights.\n\n\
    `/api/v1` is for other systems: send `Authorization: Bearer ccms_…` with a key from `ccms api-key create`. A key with \
    scope `read` looks, `command` also switches and takes care of alerts, `admin` may everything. Errors are \
    `application/problem+json`. Lists are `{\"items\":[…],\"next_cursor\":…}`. With an `Idempotency-Key` a POST that is sent twice \
    is done once.\n\n\
    `/api/device` is for controllers, also reachable as `/device`; refusals come in the envelope of the device document.";

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn operator_operation(route: &Route, mut operation: Value) -> Value {
    let mut parameters = path_parameters(route.template);
    parameters.extend(operation["parameters"].as_array().cloned().unwrap_or_default());
    if route.method == Method::POST {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {"type": "string", "pattern": format!("^[!-~]{{1,{KEY_CHARS_MAX}}}$")},
            "description": "The same key with the same request within 24 hours: the first answer again, and nothing is done twice.",
        }));
    }
    let has_body = !operation["requestBody"].is_null();
    if let Some(responses) = operation["responses"].as_object_mut() {
        for response in responses.values_mut().filter(|r| r.get("problem").is_some()) {
            *response = problem(response["problem"].as_str().unwrap_or_default());
        }
        let mut refuse = |status: &str, why: &str| {
            responses.entry(status).or_insert_with(|| problem(why));
        };
        refuse("400", "The request cannot be read.");
        refuse("401", "No API key, or one that is not in force.");
        refuse("403", "The key's scope or zone does not allow this.");
        if route.template.contains('{') || route.template == "/commands" {
            refuse("404", "There is no such thing, or not for this key.");
        }
        refuse("413", "The body is too large.");
        if has_body {
            refuse("415", "The body is not of a type that is taken here.");
        }
        if has_body || route.method == Method::POST {
            refuse("422", "What is asked cannot be; see errors. Or the Idempotency-Key was used for another request.");
        }
        refuse("500", "A fault of ours.");
        refuse("503", "The database does not answer, or too much is going on. Nothing was changed; see Retry-After.");
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation["x-required-right"] = match route.needs {
        Permission::View => "view",
        Permission::Command => "command",
        Permission::Acknowledge => "acknowledge",
        Permission::Commission => "commission",
        Permission::Administer => "administer",
    }
    .into();
    operation
}

fn device_operation(mut operation: Value) -> Value {
    let mut parameters = path_parameters("/{device_id}");
    parameters.extend(operation["parameters"].as_array().cloned().unwrap_or_default());
    operation["parameters"] = parameters.into();
    operation["tags"] = json!(["Device contract"]);
    if operation["security"].is_null() {
        operation["security"] = json!([{"deviceToken": []}]);
    }
    for (status, why) in [
        ("400", "The body or the path cannot be read, or the device has to wait; see code."),
        ("401", "The token is missing, wrong, revoked or too old. Configure cures it."),
        ("403", "The token speaks for another device than path or body."),
        ("404", "The device is not registered. Configure."),
        ("500", "A fault of ours."),
        (
            "503",
            "Storage is slow or gone, or more was sent than there is a share of. Nothing was kept; see Retry-After.",
        ),
    ] {
        operation["responses"][status] = json!({
            "description": why,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        });
    }
    operation
}

fn problem(why: &str) -> Value {
    json!({
        "description": why,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    })
}

fn path_parameters(template: &str) -> Vec<Value> {
    let names = template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let schema = match name {
            "alert_id" => json!({"type": "integer", "minimum": 1, "maximum": i32::MAX}),
            "device_id" => json!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$"}),
            _ => json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}),
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    };
    names.map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let named = |text: &str| read(text).as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let operator: BTreeSet<String> = ROUTES.iter().map(|r| format!("{} {}", r.method, r.template)).collect();
        assert_eq!(named(OPERATOR), operator);
        let device: BTreeSet<String> = device_api::ROUTES.iter().map(|r| format!("{} {}", r.method, r.name)).collect();
        assert_eq!(named(DEVICE), device);
    }

    #[test]
    fn every_shape_that_is_named_is_there_and_every_one_there_is_named() {
        let text = document().to_string();
        let schemas = read(SCHEMAS);
        let all: BTreeSet<&str> = schemas.as_object().unwrap().keys().map(String::as_str).collect();
        let prefix = "#/components/schemas/";
        let named: BTreeSet<&str> =
            text.match_indices(prefix).map(|(at, _)| text[at + prefix.len()..].split('"').next().unwrap()).collect();
        assert_eq!(named, all);
    }

    #[test]
    fn operations_have_ids_of_their_own_and_say_what_may_go_wrong() {
        let document = document();
        let mut ids = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
                assert!(ids.insert(id.to_owned()), "{id} is there twice");
                for status in ["400", "401", "403", "500", "503"] {
                    assert!(operation["responses"][status].is_object(), "{status} of {id}");
                }
            }
        }
    }
}
