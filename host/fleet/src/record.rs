//! What is durable, and the only way in which it changes.

use serde::{Deserialize, Serialize};

use crate::ids::{PlacementNo, PoolName, PoolNo, RoomId, ServerNo};
use crate::pool::PoolRecord;
use crate::room::RoomRecord;
use crate::server::ServerRecord;
use crate::units::Timestamp;

/// A durable thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A server.
    Server(Box<ServerRecord>),
    /// A room.
    Room(Box<RoomRecord>),
    /// A pool.
    Pool(Box<PoolRecord>),
    /// The counters and what else there is one of.
    Meta(Meta),
}

/// Names a durable thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// A server.
    Server(ServerNo),
    /// A room.
    Room(RoomId),
    /// A pool.
    Pool(PoolName),
    /// The one of its kind.
    Meta,
}

impl Record {
    /// Returns the record's key.
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Server(record) => RecordKey::Server(record.no),
            Record::Room(record) => RecordKey::Room(record.id.clone()),
            Record::Pool(record) => RecordKey::Pool(record.name.clone()),
            Record::Meta(_) => RecordKey::Meta,
        }
    }
}

/// What there is one of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The next server's number.
    pub next_server: ServerNo,
    /// Numbers of servers, from and to, that a newer copy of this store may have given out: whose they are is not known here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers_elsewhere: Vec<(ServerNo, ServerNo)>,
    /// The next pool's number.
    pub next_pool: PoolNo,
    /// Every placement numbered below this may have been given out; they are reserved in blocks.
    pub placements_reserved: PlacementNo,
    /// The newest moment that the fleet has seen durably; `now` never lies before it.
    pub now: Timestamp,
}

/// A durable change. [`Fleet::apply`](crate::Fleet::apply) is the only thing that makes one, live and at recovery.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// This record is so from now on.
    Put(Record),
    /// This record is gone.
    Delete(RecordKey),
}
