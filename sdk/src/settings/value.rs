//! A settings file's values, and how the author's type is read from them.

use core::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

/// What a key may have for a value.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    /// In the order of the file.
    Map(Vec<(String, Value)>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Value, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
                text.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Unsigned(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Signed(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Value::List(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Value::Map(entries))
            }
        }
        reader.deserialize_any(Any)
    }
}

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Such as `windows[0].from`; empty for the whole file.
    path: String,
    why: String,
}

impl Wrong {
    pub(super) fn into_sentence(self) -> String {
        let Wrong { path, why } = self;
        if path.is_empty() {
            format!("settings: {why}")
        } else {
            format!("setting `{path}`: {why}")
        }
    }

    /// Says that it is wrong within this key.
    fn within(mut self, key: &str) -> Wrong {
        if !self.path.is_empty() && !self.path.starts_with('[') {
            self.path.insert(0, '.');
        }
        self.path.insert_str(0, key);
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str(&self.why)
    }
}

impl core::error::Error for Wrong {}

impl Error for Wrong {
    fn custom<T: fmt::Display>(why: T) -> Wrong {
        Wrong {
            path: String::new(),
            why: why.to_string(),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Wrong {
        Wrong::custom(format_args!("invalid type: {}, expected {expected}", Found(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Wrong {
        Wrong::custom(format_args!("invalid value: {}, expected {expected}", Found(found)))
    }
}

/// Says what was found like serde, but the figures of a float: printing those weighs 20 KiB.
struct Found<'a>(Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str(match self.0 {
            Unexpected::Bool(value) => return write!(text, "boolean `{value}`"),
            Unexpected::Unsigned(value) => return write!(text, "integer `{value}`"),
            Unexpected::Signed(value) => return write!(text, "integer `{value}`"),
            Unexpected::Char(value) => return write!(text, "character `{value}`"),
            Unexpected::Str(value) => return write!(text, "string {value:?}"),
            Unexpected::Float(_) => "floating point number",
            Unexpected::Unit => "null",
            Unexpected::Bytes(_) => "byte array",
            Unexpected::Option => "option",
            Unexpected::NewtypeStruct => "newtype struct",
            Unexpected::Seq => "sequence",
            Unexpected::Map => "map",
            Unexpected::Enum => "enum",
            Unexpected::UnitVariant => "unit variant",
            Unexpected::NewtypeVariant => "newtype variant",
            Unexpected::TupleVariant => "tuple variant",
            Unexpected::StructVariant => "struct variant",
            Unexpected::Other(other) => other,
        })
    }
}

/// A value that is being read.
pub(super) struct Node(pub(super) Value);

impl<'de> Deserializer<'de> for Node {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Unsigned(value) => visitor.visit_u64(value),
            Value::Signed(value) => visitor.visit_i64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Text(value) => visitor.visit_string(value),
            Value::List(values) => {
                let mut list = List {
                    values: values.into_iter(),
                    at: 0,
                };
                let value = visitor.visit_seq(&mut list)?;
                match list.values.len() {
                    0 => Ok(value),
                    rest => Err(Wrong::invalid_length(list.at + rest, &"fewer elements")),
                }
            }
            Value::Map(entries) => visitor.visit_map(Map::of(entries)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Text(variant) => visitor.visit_enum(in_words(variant)),
            Value::Map(entries) if entries.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(Map::of(entries)))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

fn in_words(variant: String) -> StringDeserializer<Wrong> {
    variant.into_deserializer()
}

struct List {
    values: std::vec::IntoIter<Value>,
    at: usize,
}

impl<'de> SeqAccess<'de> for &mut List {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(value) = self.values.next() else {
            return Ok(None);
        };
        let at = self.at;
        self.at += 1;
        seed.deserialize(Node(value))
            .map(Some)
            .map_err(|wrong| wrong.within(&format!("[{at}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

struct Map {
    entries: std::vec::IntoIter<(String, Value)>,
    /// The value of the key that was given last, and the key again, for errors.
    entry: Option<(String, Value)>,
}

impl Map {
    fn of(entries: Vec<(String, Value)>) -> Map {
        Map {
            entries: entries.into_iter(),
            entry: None,
        }
    }
}

impl<'de> MapAccess<'de> for Map {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        let (key, _) = self.entry.insert((key, value));
        seed.deserialize(Key(key.clone()))
            .map(Some)
            .map_err(|wrong| wrong.within(key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Wrong> {
        let (key, value) = self
            .entry
            .take()
            .ok_or_else(|| Wrong::custom("a value without its key"))?;
        seed.deserialize(Node(value)).map_err(|wrong| wrong.within(&key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A key that is being read. In the file it is always a text; a map by number wants what it says.
struct Key(String);

macro_rules! by_number {
    ($($deserialize:ident: $number:ty => $visit:ident),+) => { $(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match self.0.parse::<$number>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => visitor.visit_string(self.0),
            }
        }
    )+ };
}

impl<'de> Deserializer<'de> for Key {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_string(self.0)
    }

    by_number! {
        deserialize_u8: u64 => visit_u64, deserialize_u16: u64 => visit_u64, deserialize_u32: u64 => visit_u64,
        deserialize_u64: u64 => visit_u64, deserialize_i8: i64 => visit_i64, deserialize_i16: i64 => visit_i64,
        deserialize_i32: i64 => visit_i64, deserialize_i64: i64 => visit_i64
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_enum(in_words(self.0))
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}
