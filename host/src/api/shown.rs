//! How values are shown and documented: times in RFC 3339, money in dollars, names with their pattern.

use serde::{Serialize, Serializer};
use usher_fleet::Timestamp;
use usher_fleet::units::Microdollars;
use utoipa::PartialSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};

use super::request::{
    KEY_CHARS_MAX, LABELS_MAX, PLACE_CHARS_MAX, REASON_CHARS_MAX, URL_CHARS_MAX, URL_PATTERN, VALUE_CHARS_MAX,
};

/// What an id looks like.
pub(super) const ID_PATTERN: &str = "^[A-Za-z0-9._:-]{1,128}$";

/// A moment, in RFC 3339 and UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&rfc3339(self.0))
    }
}

/// Returns the moment as a value whose text is RFC 3339; the year 9999 is the last.
pub(super) fn rfc3339(at: Timestamp) -> jiff::Timestamp {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}
impl utoipa::ToSchema for Time {}

/// An amount in dollars.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dollars(pub(super) Microdollars);

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.dollars())
    }
}

impl PartialSchema for Dollars {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0.0)).into()
    }
}
impl utoipa::ToSchema for Dollars {}

/// Something that is skipped where it is not known; shown by a function of its own type.
fn text(pattern: Option<&str>, chars_min: usize, chars_max: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(pattern)
        .min_length(Some(chars_min))
        .max_length(Some(chars_max))
}

fn or_null(builder: ObjectBuilder) -> Schema {
    builder
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .into()
}

/// A name: of a room, server, pool or tenant.
pub(super) fn id() -> Schema {
    text(Some(ID_PATTERN), 1, 128).into()
}

/// A name, or null.
pub(super) fn id_or_null() -> Schema {
    or_null(text(Some(ID_PATTERN), 1, 128))
}

/// A region or zone, or null.
pub(super) fn place_or_null() -> Schema {
    or_null(text(None, 1, PLACE_CHARS_MAX))
}

/// A reason, or null.
pub(super) fn reason_or_null() -> Schema {
    or_null(text(None, 1, REASON_CHARS_MAX))
}

/// A URL.
pub(super) fn url() -> Schema {
    text(Some(URL_PATTERN), 1, URL_CHARS_MAX).into()
}

/// A URL, or null.
pub(super) fn url_or_null() -> Schema {
    or_null(text(Some(URL_PATTERN), 1, URL_CHARS_MAX))
}

/// Words by key.
pub(super) fn labels() -> Schema {
    map(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(VALUE_CHARS_MAX)),
        LABELS_MAX,
    )
}

/// Addresses by name.
pub(super) fn endpoints() -> Schema {
    map(text(Some(URL_PATTERN), 1, URL_CHARS_MAX), LABELS_MAX)
}

/// Numbers by name.
pub(super) fn figures() -> Schema {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(u32::MAX));
    map(number, super::servers::FIGURES_MAX)
}

fn map(value: ObjectBuilder, entries_max: usize) -> Schema {
    let key = format!("^[A-Za-z0-9._:/-]{{1,{KEY_CHARS_MAX}}}$");
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .max_properties(Some(entries_max))
        .property_names(Some(text(Some(&key), 1, KEY_CHARS_MAX)))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(value.into()))))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn times_and_dollars_read_well() {
        assert_eq!(json(&Time(Timestamp(1_795_338_000_000))), "\"2026-11-22T09:00:00Z\"");
        assert_eq!(json(&Time(Timestamp(1_795_338_000_250))), "\"2026-11-22T09:00:00.25Z\"");
        assert_eq!(json(&Dollars(Microdollars(348_000))), "0.348");
        assert!(json(&Time(Timestamp(u64::MAX))).starts_with("\"9999-12-30"));
    }
}
