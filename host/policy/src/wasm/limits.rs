//! What a policy may use: fuel for each operation, memory over all of it, and the size of an answer.
//!
//! Fuel counts instructions and not time, so what is dear is priced. What a million units take at most where a guest does
//! nothing else, in milliseconds, on a 2-core virtual machine (EPYC of 2024); `tests/prices.rs` measures it and prints it:
//!
//! | what | ms | unpriced |
//! |---|---|---|
//! | arithmetic on whole numbers, branches, calls, loads and stores of one place | 0.2 to 1.5 | |
//! | division, square roots, arithmetic with fractions | 0.2 to 0.7 | 4; on other processors 45, of subnormal numbers |
//! | fractions to whole numbers and back; rounding, least and greatest | 0.5 to 3 | |
//! | SIMD on whole numbers | 0.2 to 0.5 | |
//! | a store, and a load across it | 2.5 to 4 | |
//! | `memory.copy`, `memory.fill` of much | 0.05 | |
//! | `memory.copy`, `memory.init` of nothing | 0.7 | |
//! | `memory.fill` of nothing | 0.7 | 57 |
//! | `memory.grow` | 1.5 | 50 |
//! | `ref.func` | 0.4 | 47 |
//! | `elem.drop` | 0.3 | 8 |
//! | other instructions on tables | 0.1 to 1.5 | |
//! | a log line; a civil time | 0.1 to 0.5 | 2,000 |
//! | calls of 20,000 functions in no order | 4 to 8 | |
//! | an answer of a megabyte, once in a call | 0.1; 2 where it is not UTF-8 | 10 |
//! | **the first touch of memory, once in an instance** | 170 | |
//! | **loads in no order over 1, 7, 112 MiB** | 5, 160, 250 to 420 | |
//!
//! The last two no price can bound: the same instruction takes a quarter of a nanosecond or four hundred. So a call also has
//! [`Budget::time`], as long as its fuel would last at [`FUEL_NANOSECONDS_MAX`]; [`super::overtime`] ends it then.
//!
//! **The worst stall of the deciding thread**: a call ends within its time and two ticks, and a function without a loop runs to
//! its end, 20 ms at most ([`FUNCTION_BYTES_MAX`]). One `place` of a small fleet: 20 ms and 20; with 10,000 servers 40 and 20;
//! with any number 60 and 20. The rows that it is told before: as long again for a few of them; for the 256 changes that it may be
//! behind ([`PlaceChain::keep_up`](crate::PlaceChain::keep_up)) 65 ms and 20 in each of at most three calls in a fleet of any
//! size, but for one that wants all 64 figures of servers that report so many: 110 ms for each 16 servers. More only after an input
//! that has changed more, as a new configuration does, until that is told. A chain takes the sum over its links; and on a machine
//! that has other work, waits for the processor. This is what a hostile guest can do. One that uses up all its fuel otherwise takes a
//! third of it at most, and the standard policy takes microseconds.

use std::time::Duration;

use wasmtime::{OperatorCost, ResourceLimiter, VariableOperatorCost};

/// The most memory that one instance has, in bytes, summed over all its memories: 10,000 servers take the SDK's view about
/// 5 MiB, so this is room for a policy's own tables, and small beside a host with several policies.
pub const MEMORY_BYTES_MAX: usize = 128 << 20;
/// The most memories of one instance: a component of a core module has one, of modules linked with each other a few.
const MEMORIES_MAX: usize = 8;
/// The most table elements of one instance, summed: tables hold function pointers, a large guest has some thousands.
const TABLE_ELEMENTS_MAX: usize = 64 << 10;
/// The most tables of one instance.
const TABLES_MAX: usize = 16;
/// The most core instances of one instance: an encoded module makes about five.
const INSTANCES_MAX: usize = 32;
/// The most globals, imports, exports, segments and elements of them in one file. A core instance has a place for each beside its
/// memory, of 48 bytes at most (an element of a passive segment, and the function that it names), so [`INSTANCES_MAX`] of them have
/// 30 MiB. A policy in Rust of 190 KB has 80, a JavaScript engine of 500 KB 660.
pub(super) const DECLARATIONS_MAX: u64 = 20_000;
/// The most stack that guest code has, in bytes; the thread that asks needs it and as much again. wasmtime's default.
pub(crate) const STACK_BYTES_MAX: usize = 512 << 10;

/// The most bytes that one call may hand to the host, in strings and lists.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The most rows of one answer.
pub(crate) const ANSWER_ROWS_MAX: usize = 1_000;
/// The most rows that one call of the view has, as the contract says.
pub(crate) const VIEW_ROWS_MAX: usize = 1_024;
/// The most rows that come with a question, as the contract says.
pub(crate) const QUESTION_ROWS_MAX: usize = 64;
/// The most bytes of a reason that are kept: it is read in lists of decisions.
pub(crate) const REASON_BYTES_MAX: usize = 512;
/// The most figures that a policy may ask for, so that a row's place in the list is found by looking.
pub(crate) const FIGURES_MAX: usize = 64;
/// The most bytes of each of a description's texts.
pub(crate) const DESCRIPTION_BYTES_MAX: usize = 1_024;

/// The price of `log` and of the helpers: for the call, and for each byte of its text.
pub(crate) const HOST_CALL_FUEL: u64 = 2_000;
/// See [`HOST_CALL_FUEL`].
pub(crate) const HOST_BYTE_FUEL: u64 = 10;
/// What the civil time of a zone costs on top: a look-up in a table of transitions.
pub(crate) const LOCAL_TIME_FUEL: u64 = 3_000;
/// The longest log message, in bytes.
pub(crate) const LOG_BYTES_MAX: usize = 4 << 10;
/// The longest name of a time zone, in bytes; the IANA's longest has 32.
pub(crate) const ZONE_BYTES_MAX: usize = 64;

/// The longest that a unit of fuel may take, on average over a call: ten times and more what it takes, so that a slow machine
/// ends no honest guest, nor one whose processor others take away and nobody says so.
const FUEL_NANOSECONDS_MAX: u64 = 10;
/// The most bytes of one function: only loops and calls look at fuel and time, so that what stands between them runs to its end.
/// The largest function of a large policy in Rust has a tenth of this.
pub(super) const FUNCTION_BYTES_MAX: usize = 128 << 10;

const M: u64 = 1_000_000;
/// For each row of the view that a call has.
const ROW_FUEL: u64 = 5_000;

/// Says what a call is for, and so how much fuel it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Budget {
    /// Instantiation, its start function, and `describe`.
    Start,
    /// `configure`.
    Configure,
    /// Changed rows, on the deciding thread; `servers` are already known.
    View { rows: usize, servers: usize },
    /// Rows of a whole view, off the deciding thread: what is in the [`Purse`].
    WholeView { fuel: u64 },
    /// `place`, and the changed rows that come with the question.
    Place { rows: usize, servers: usize },
    /// `scale-up` or `scale-down`, off the deciding thread.
    Scale { servers: usize },
    /// `save` or `restore`, off the deciding thread: 64 KiB, each byte written or read a few hundred times.
    Learned,
}

impl Budget {
    /// Returns the fuel for one such call.
    pub(crate) fn fuel(self) -> u64 {
        match self {
            Budget::Start => 10 * M,
            Budget::Configure | Budget::Learned => 50 * M,
            // The first million is for a table that grows under the one row too many.
            Budget::View { rows, servers } => M + for_rows(rows) + count(servers).saturating_mul(200).min(4 * M),
            Budget::WholeView { fuel } => fuel,
            Budget::Place { rows, servers } => (M + count(servers).saturating_mul(200)).min(5 * M) + for_rows(rows),
            Budget::Scale { servers } => (50 * M)
                .saturating_add(count(servers).saturating_mul(2_000))
                .min(500 * M),
        }
    }

    /// Returns how long one such call may have the processor.
    pub(crate) fn time(self) -> Duration {
        Duration::from_nanos(self.fuel().saturating_mul(FUEL_NANOSECONDS_MAX))
    }
}

/// What an instance may spend on being told a whole view, in however many calls: what one call leaves is there for the next, and nobody
/// has the loader for longer by being told in more parts.
#[derive(Debug)]
pub(crate) struct Purse {
    fuel: u64,
    servers: usize,
}

impl Default for Purse {
    fn default() -> Purse {
        // For tables that grow, and copy themselves.
        Purse {
            fuel: 20 * M,
            servers: 0,
        }
    }
}

impl Purse {
    /// Returns what there is for the next call, which has so many rows, and after which so many servers are known.
    pub(crate) fn open(&mut self, rows: usize, servers: usize) -> Budget {
        let for_servers = count(servers.saturating_sub(self.servers)).saturating_mul(1_000);
        let more = for_rows(rows).saturating_add(for_servers);
        self.servers = self.servers.max(servers);
        self.fuel = self.fuel.saturating_add(more);
        Budget::WholeView { fuel: self.fuel }
    }

    /// Takes out what a call has used: its fuel, or its time where that is dearer.
    pub(crate) fn pay(&mut self, fuel: u64, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / FUEL_NANOSECONDS_MAX;
        self.fuel = self.fuel.saturating_sub(fuel.max(time));
    }
}

fn for_rows(rows: usize) -> u64 {
    count(rows).saturating_mul(ROW_FUEL)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Returns what each instruction costs: one, but for those that take far longer than others.
pub(crate) fn operator_cost() -> OperatorCost {
    /// Division; and what takes 150 cycles on many processors where numbers are subnormal.
    const DEAR: u8 = 10;
    /// A call of the runtime that looks something up: 10 ns.
    const LOOK_UP: u8 = 25;
    /// A call of the runtime that makes something: 100 ns.
    const MAKE: u8 = 100;
    /// A system call, or the processor's own slow path: 250 ns.
    const SLOW: u8 = 250;
    let mut cost = OperatorCost {
        MemoryGrow: SLOW,
        TableGrow: SLOW,
        // Of no bytes at all, at an address that was never touched, it takes 230 ns.
        MemoryFill: SLOW,
        RefFunc: MAKE,
        ElemDrop: LOOK_UP,
        variable: VariableOperatorCost {
            memory_grow_per_page: 255,
            ..VariableOperatorCost::new()
        },
        ..OperatorCost::new()
    };
    for dear in dear(&mut cost) {
        *dear = DEAR;
    }
    cost
}

/// Returns the prices of divisions and of arithmetic with fractions.
fn dear(cost: &mut OperatorCost) -> [&mut u8; 32] {
    [
        &mut cost.I32DivS,
        &mut cost.I32DivU,
        &mut cost.I32RemS,
        &mut cost.I32RemU,
        &mut cost.I64DivS,
        &mut cost.I64DivU,
        &mut cost.I64RemS,
        &mut cost.I64RemU,
        &mut cost.F32Add,
        &mut cost.F32Sub,
        &mut cost.F32Mul,
        &mut cost.F32Div,
        &mut cost.F32Sqrt,
        &mut cost.F32DemoteF64,
        &mut cost.F64Add,
        &mut cost.F64Sub,
        &mut cost.F64Mul,
        &mut cost.F64Div,
        &mut cost.F64Sqrt,
        &mut cost.F64PromoteF32,
        &mut cost.F32x4Add,
        &mut cost.F32x4Sub,
        &mut cost.F32x4Mul,
        &mut cost.F32x4Div,
        &mut cost.F32x4Sqrt,
        &mut cost.F32x4DemoteF64x2Zero,
        &mut cost.F64x2Add,
        &mut cost.F64x2Sub,
        &mut cost.F64x2Mul,
        &mut cost.F64x2Div,
        &mut cost.F64x2Sqrt,
        &mut cost.F64x2PromoteLowF32x4,
    ]
}

/// Counts what one instance has of memory and tables; wasmtime's own limits are for each memory alone.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    memory_bytes: usize,
    table_elements: usize,
    refused: bool,
}

impl Allowance {
    /// Returns the bytes of all memories.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Returns whether the instance ever wanted more than it may have.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Allowance {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        let granted = total <= MEMORY_BYTES_MAX && maximum.is_none_or(|maximum| desired <= maximum);
        if granted {
            self.memory_bytes = total;
        } else {
            self.refused = true;
        }
        Ok(granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        let granted = total <= TABLE_ELEMENTS_MAX && maximum.is_none_or(|maximum| desired <= maximum);
        if granted {
            self.table_elements = total;
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut allowance = Allowance::default();
        assert!(allowance.memory_growing(0, 100 << 20, None).unwrap());
        assert!(!allowance.memory_growing(0, 60 << 20, None).unwrap());
        assert!(allowance.memory_growing(0, 28 << 20, None).unwrap());
        assert_eq!(allowance.memory_bytes(), MEMORY_BYTES_MAX);
        assert!(allowance.was_refused());
    }

    #[test]
    fn a_placement_never_has_more_than_five_million_beside_its_rows() {
        assert_eq!(Budget::Place { rows: 0, servers: 0 }.fuel(), 1_000_000);
        assert_eq!(
            Budget::Place {
                rows: 1,
                servers: 1_000
            }
            .fuel(),
            1_205_000
        );
        let (rows, servers) = (QUESTION_ROWS_MAX, 1_000_000);
        assert_eq!(Budget::Place { rows, servers }.fuel(), 5_320_000);
    }

    #[test]
    fn a_view_that_is_told_in_more_calls_costs_no_more() {
        let spent = |calls: usize| {
            let mut purse = Purse::default();
            let fuel = (1..=calls).map(|call| {
                let granted = purse.open(100_000 / calls, 100_000 * call / calls).fuel();
                purse.pay(granted, Duration::ZERO);
                granted
            });
            fuel.sum::<u64>()
        };
        assert_eq!(spent(1), 620 * M);
        assert_eq!(spent(100), spent(1));
    }

    #[test]
    fn who_is_slow_without_fuel_pays_by_the_time() {
        let mut purse = Purse::default();
        purse.pay(1, Duration::from_millis(50));
        assert_eq!(purse.open(0, 0), Budget::WholeView { fuel: 15 * M });
        purse.pay(1, Duration::from_secs(60));
        assert_eq!(purse.open(1, 0).fuel(), ROW_FUEL);
    }
}
