use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

#[test]
fn every_call_of_the_design_is_documented() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let mut calls = BTreeSet::new();
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            calls.insert(format!("{method} {path}"));
        }
    }
    let expected = [
        "put /v1/rooms/{room}",
        "get /v1/rooms/{room}",
        "patch /v1/rooms/{room}",
        "delete /v1/rooms/{room}",
        "post /v1/rooms/{room}/failed",
        "get /v1/rooms",
        "put /v1/servers/{server}",
        "get /v1/servers/{server}",
        "delete /v1/servers/{server}",
        "get /v1/servers",
        "post /v1/servers/{server}/report",
        "post /v1/servers/{server}/cordon",
        "post /v1/servers/{server}/drain",
        "post /v1/servers/{server}/uncordon",
        "post /v1/servers/{server}/lost",
        "post /v1/servers/{server}/token",
        "delete /v1/servers/{server}/token",
        "get /v1/pools",
        "post /v1/pools/{pool}/scaling",
        "get /v1/policies",
        "get /v1/policies/{policy}",
        "post /v1/policies/{policy}/rollback",
        "get /v1/decisions",
        "get /v1/bill",
        "get /v1/events",
        "get /healthz",
        "get /readyz",
        "get /metrics",
        "get /openapi.json",
    ];
    assert_eq!(calls, expected.map(str::to_owned).into_iter().collect());
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    found.insert(target.clone());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Room"));
    for target in found {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
}

#[test]
fn every_call_under_v1_says_who_may_and_what_refuses() {
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["security"].is_array(), "{method} {path}");
            if path.starts_with("/v1/") {
                for status in ["401", "403", "503"] {
                    assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
                }
            }
        }
    }
}
