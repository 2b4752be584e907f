//! The keys of records: a byte for the kind, then the id, so that the order of keys is the order in which records load.

use usher_fleet::RecordKey;

/// The kinds of values among the records. The numbers are kept on disk: none is ever used for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// How far the store has come; the store's own.
    Progress = 0,
    /// See [`usher_fleet::Record::Meta`].
    Meta = 1,
    /// See [`usher_fleet::Record::Pool`].
    Pool = 2,
    /// See [`usher_fleet::Record::Server`].
    Server = 3,
    /// See [`usher_fleet::Record::Room`].
    Room = 4,
}

/// The key of the store's own record.
pub(crate) const PROGRESS: [u8; 1] = [Kind::Progress as u8];

impl Kind {
    /// Returns the kind that a key begins with; none where this build does not know it.
    pub(crate) fn of(key: &[u8]) -> Option<Kind> {
        match key.first()? {
            0 => Some(Kind::Progress),
            1 => Some(Kind::Meta),
            2 => Some(Kind::Pool),
            3 => Some(Kind::Server),
            4 => Some(Kind::Room),
            _ => None,
        }
    }
}

/// Returns the bytes of a record's key.
pub(crate) fn encode(key: &RecordKey) -> Vec<u8> {
    match key {
        RecordKey::Meta => vec![Kind::Meta as u8],
        RecordKey::Pool(name) => joined(Kind::Pool, name.as_str().as_bytes()),
        RecordKey::Server(no) => joined(Kind::Server, &no.0.to_be_bytes()),
        RecordKey::Room(id) => joined(Kind::Room, id.as_str().as_bytes()),
    }
}

fn joined(kind: Kind, id: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + id.len());
    bytes.push(kind as u8);
    bytes.extend_from_slice(id);
    bytes
}

/// Returns what people call the record with this key.
pub(crate) fn name(key: &[u8]) -> String {
    let id = key.get(1..).unwrap_or_default();
    match Kind::of(key) {
        Some(Kind::Progress) => "the progress record".to_owned(),
        Some(Kind::Meta) => "the meta record".to_owned(),
        Some(Kind::Pool) => format!("pool {}", id.escape_ascii()),
        Some(Kind::Server) => match <[u8; 4]>::try_from(id) {
            Ok(no) => format!("server number {}", u32::from_be_bytes(no)),
            Err(_) => format!("server {}", id.escape_ascii()),
        },
        Some(Kind::Room) => format!("room {}", id.escape_ascii()),
        None => format!("record {}", key.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use usher_fleet::ids::ServerNo;

    #[test]
    fn keys_sort_as_records_load() {
        let keys = [
            RecordKey::Meta,
            RecordKey::Pool("a".parse().unwrap()),
            RecordKey::Server(ServerNo(9)),
            RecordKey::Server(ServerNo(300)),
            RecordKey::Room("a".parse().unwrap()),
            RecordKey::Room("a.b".parse().unwrap()),
        ];
        let encoded: Vec<Vec<u8>> = keys.iter().map(encode).collect();
        assert!(encoded.is_sorted(), "{encoded:?}");
        assert!(PROGRESS.as_slice() < encoded[0].as_slice());
    }

    #[test]
    fn a_key_is_told_as_people_say_it() {
        assert_eq!(name(&encode(&RecordKey::Server(ServerNo(300)))), "server number 300");
        assert_eq!(
            name(&encode(&RecordKey::Room("standup-42".parse().unwrap()))),
            "room standup-42"
        );
        assert_eq!(name(&[9, b'x', 0xff]), "record \\tx\\xff");
        assert_eq!(name(&[]), "record ");
    }
}
