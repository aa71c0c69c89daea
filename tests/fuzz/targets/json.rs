//! Our reader of JSON against `serde_json`: what one reads the other reads, to the byte, and they refuse in the same words.
#![no_main]
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, fmt::Debug};
use tierway_services::json;

fn same<'a, T: Deserialize<'a> + Debug>(data: &'a [u8]) {
    let told = |read: serde_json::Result<T>| match read {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(told(json::from_slice(data)), told(serde_json::from_slice(data)));
}

fuzz_target!(|data: &[u8]| {
    same::<&RawValue>(data);
    same::<Vec<&RawValue>>(data);
    same::<BTreeMap<Cow<'_, str>, &RawValue>>(data);
    same::<serde_json::Value>(data);
    same::<Vec<Option<String>>>(data);
});
