//! What a new version of the file cannot change while Usher runs.

use super::problem::Problem;
use super::{Config, PoolSetup};

/// What a new version of the file changes that is not simply taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadCheck {
    /// What would be dangerous: with any of these nothing of the file is taken over.
    pub problems: Vec<Problem>,
    /// What is taken over with the next restart only.
    pub warnings: Vec<Problem>,
}

/// Returns what `newer` changes and must not, or not without a restart. It compares files only: whether a pool has
/// servers is the fleet's to know, so a pool's provider and region never change here; under another name they may.
pub(super) fn check(older: &Config, newer: &Config) -> ReloadCheck {
    let mut check = ReloadCheck::default();
    for pool in &newer.pools {
        if let Some(was) = older.pools.iter().find(|was| was.name == pool.name) {
            check_pool(was, pool, &mut check.problems);
        }
    }
    let restarts = [
        ("fleet", older.fleet_name != newer.fleet_name),
        (
            "listen",
            older.listen != newer.listen && older.overrides.listen.is_none(),
        ),
        (
            "data_dir",
            older.data_dir != newer.data_dir && older.overrides.data_dir.is_none(),
        ),
        ("policies_dir", older.policies_dir != newer.policies_dir),
        ("auth", older.auth != newer.auth),
        ("tls", older.tls != newer.tls),
        ("events", older.events != newer.events),
        ("bill", older.bill != newer.bill),
    ];
    for (key, _) in restarts.iter().filter(|(_, has_changed)| *has_changed) {
        let wrong = "changes only with a restart".to_owned();
        check
            .warnings
            .push(problem(key.to_string(), wrong, "restart Usher to take it over"));
    }
    check
}

fn check_pool(was: &PoolSetup, pool: &PoolSetup, problems: &mut Vec<Problem>) {
    let providers = [&was.provider, &pool.provider].map(std::mem::discriminant);
    for (key, has_changed) in [
        ("provider", providers[0] != providers[1]),
        ("region", was.region != pool.region),
    ] {
        if has_changed {
            let wrong = "cannot change while Usher runs: the pool's servers stand where they stand".to_owned();
            problems.push(problem(
                format!("pool {}.{key}", pool.name),
                wrong,
                "write a [[pool]] with another name",
            ));
        }
    }
}

fn problem(key: String, wrong: String, remedy: &str) -> Problem {
    Problem {
        line: None,
        key,
        wrong,
        remedy: remedy.to_owned(),
    }
}
