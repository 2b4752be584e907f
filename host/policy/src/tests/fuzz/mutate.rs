//! Files that a fuzzer would make, each by its seed.

use wasm_mutate::WasmMutate;
use wit_component::ComponentEncoder;

/// What bytes are made from.
pub(super) struct Mutations {
    modules: Vec<Vec<u8>>,
    components: Vec<Vec<u8>>,
}

const SETTINGS: &str = "on_fault = \"next\"\nspare = 2\nname = \"night\"\n[[window]]\nfrom = 08:30:00\nrate = 1.5\n[deep.er]\nx = [1, 2]\n";
/// The longest nonsense.
const NONSENSE_BYTES_MAX: u64 = 300;
/// The most edits of one file: more leave nothing to be misread.
const EDITS_MAX: u64 = 6;

impl Mutations {
    pub(super) fn new(modules: Vec<Vec<u8>>) -> Mutations {
        let component = |module: &Vec<u8>| {
            ComponentEncoder::default()
                .module(module)
                .and_then(|mut it| it.encode())
                .unwrap()
        };
        let is_module = |bytes: &&Vec<u8>| wasmparser::Parser::is_core_wasm(bytes);
        let components = modules.iter().filter(is_module).map(component).collect();
        Mutations { modules, components }
    }

    /// Returns a seed's file.
    pub(super) fn bytes(&self, seed: u64) -> Vec<u8> {
        let mut chance = Chance(seed);
        match chance.below(10) {
            0 => nonsense(&mut chance),
            1..=3 => self.edited(&mut chance),
            4 | 5 => self.rearranged(&mut chance),
            6..=8 => self.mutated(seed, &mut chance),
            _ => {
                let mut bytes = self.mutated(seed, &mut chance);
                edit(&mut bytes, &mut chance);
                bytes
            }
        }
    }

    /// Returns a seed's settings file; most have none.
    pub(super) fn settings(&self, seed: u64) -> Option<Vec<u8>> {
        let mut chance = Chance(seed ^ 0x5e77);
        let mut bytes = SETTINGS.as_bytes().to_vec();
        match chance.below(8) {
            0 => {}
            1 | 2 => edit(&mut bytes, &mut chance),
            3 => bytes = nonsense(&mut chance),
            _ => return None,
        }
        Some(bytes)
    }

    fn any(&self, chance: &mut Chance) -> &[u8] {
        let all = [&self.modules, &self.components];
        let of = all[chance.index(2)];
        &of[chance.index(of.len())]
    }

    fn edited(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.any(chance).to_vec();
        edit(&mut bytes, chance);
        bytes
    }

    /// Drops, repeats, swaps and borrows whole sections.
    fn rearranged(&self, chance: &mut Chance) -> Vec<u8> {
        let (file, other) = (self.any(chance), self.any(chance));
        let (mut sections, others) = (sections(file), sections(other));
        for _ in 0..=chance.below(3) {
            if sections.is_empty() || others.is_empty() {
                break;
            }
            let (at, to) = (chance.index(sections.len()), chance.index(sections.len()));
            match chance.below(4) {
                0 => drop(sections.remove(at)),
                1 => sections.insert(to, sections[at]),
                2 => sections.swap(at, to),
                _ => sections.insert(to, others[chance.index(others.len())]),
            }
        }
        file[..8].iter().copied().chain(sections.concat()).collect()
    }

    /// Changes code and data so that the module stays valid: what comes past the gates.
    fn mutated(&self, seed: u64, chance: &mut Chance) -> Vec<u8> {
        let module = &self.modules[chance.index(self.modules.len())];
        let mut bytes = module.clone();
        for round in 0..=chance.below(3) {
            let mut mutate = WasmMutate::default();
            mutate
                .seed(seed.wrapping_add(round))
                .preserve_semantics(false)
                .fuel(200);
            let next = mutate.run(&bytes).ok().and_then(|mut all| all.next()?.ok());
            bytes = next.unwrap_or(bytes);
        }
        bytes
    }
}

/// Cuts a file behind its header into sections, as far as it has any.
fn sections(bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut rest = bytes.get(8..).unwrap_or_default();
    while rest.len() > 1 {
        let mut reader = wasmparser::BinaryReader::new(&rest[1..], 0);
        let Ok(length) = reader.read_var_u32() else { break };
        let end = (1 + reader.original_position() + length as usize).min(rest.len());
        let (section, after) = rest.split_at(end);
        found.push(section);
        rest = after;
    }
    found
}

fn edit(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(EDITS_MAX) {
        let at = chance.index(bytes.len().max(1)).min(bytes.len());
        let value = [0, 1, 0x7f, 0x80, 0xff, chance.below(256) as u8][chance.index(6)];
        match chance.below(6) {
            0 | 1 if at < bytes.len() => bytes[at] = value,
            2 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            3 => bytes.truncate(at),
            4 => {
                let end = (at + chance.index(64)).min(bytes.len());
                let some = bytes[at..end].to_vec();
                bytes.splice(at..at, some);
            }
            _ => bytes.insert(at, value),
        }
    }
}

fn nonsense(chance: &mut Chance) -> Vec<u8> {
    let header: &[u8] = [
        b"".as_slice(),
        b"\0asm\x01\0\0\0",
        b"\0asm\x0d\0\x01\0",
        b"\0asm",
        b"(module",
    ][chance.index(5)];
    let length = chance.below(NONSENSE_BYTES_MAX);
    header
        .iter()
        .copied()
        .chain((0..length).map(|_| chance.below(256) as u8))
        .collect()
}

/// A splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn index(&mut self, end: usize) -> usize {
        self.below(end as u64) as usize
    }
}
