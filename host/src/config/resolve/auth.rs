//! Who may call the API.

use std::collections::HashMap;

use usher_fleet::config::PoolConfig;
use usher_fleet::ids::PoolName;

use crate::config::problem::{Collector, Place};
use crate::config::raw::{RawAuth, RawToken};
use crate::config::section::Entry;
use crate::config::token::{AppToken, AuthConfig, RegisterToken, TokenHash};

/// Returns the tokens; `None` where there is no `[auth]`.
pub(super) fn auth(entry: &Entry<RawAuth>, pools: &[PoolConfig], problems: &mut Collector<'_>) -> Option<AuthConfig> {
    let raw = entry.get()?;
    check_duplicates(raw, problems);
    let auth = AuthConfig {
        admin: tokens(&raw.admin_tokens)
            .filter_map(|token| admin(token, problems))
            .collect(),
        app: tokens(&raw.app_tokens)
            .filter_map(|token| app(token, problems))
            .collect(),
        register: tokens(&raw.register_tokens)
            .filter_map(|token| register(token, pools, problems))
            .collect(),
    };
    let lists = [&raw.admin_tokens, &raw.app_tokens, &raw.register_tokens];
    if lists
        .iter()
        .all(|list| list.get().is_none_or(Vec::is_empty) && !has_problem(list))
    {
        let remedy = "add admin_tokens = [\"sha256:…\"] as `usher token new --scope admin` prints it, or remove [auth]";
        problems.problem(&entry.at, "has no tokens: nobody could call the API", remedy);
    } else if auth.admin.is_empty() && !has_problem(&raw.admin_tokens) {
        let wrong = "is missing: nobody can drain a server or see the policies";
        problems.warning(
            &raw.admin_tokens.at,
            wrong,
            "add what `usher token new --scope admin` prints",
        );
    }
    Some(auth)
}

fn tokens(list: &Entry<Vec<RawToken>>) -> impl Iterator<Item = &RawToken> {
    list.get().into_iter().flatten()
}

fn has_problem(list: &Entry<Vec<RawToken>>) -> bool {
    list.is_written && list.get().is_none()
}

fn check_duplicates(raw: &RawAuth, problems: &mut Collector<'_>) {
    let mut seen: HashMap<TokenHash, &Place> = HashMap::new();
    let lists = [&raw.admin_tokens, &raw.app_tokens, &raw.register_tokens];
    for token in lists.into_iter().flat_map(tokens) {
        let Some(hash) = token.hash.get() else { continue };
        if let Some(first) = seen.insert(*hash, &token.hash.at) {
            let remedy = "each token has one scope: make another with `usher token new`";
            problems.problem(&token.hash.at, format!("is the same token as {}", first.key), remedy);
        }
    }
}

fn hash(token: &RawToken, problems: &mut Collector<'_>) -> Option<TokenHash> {
    token.hash.required("\"sha256:…\"", problems).copied()
}

fn admin(token: &RawToken, problems: &mut Collector<'_>) -> Option<TokenHash> {
    refuse(&token.tenant, "an admin token is bound to nothing", problems);
    refuse(&token.pool, "an admin token is bound to nothing", problems);
    hash(token, problems)
}

fn app(token: &RawToken, problems: &mut Collector<'_>) -> Option<AppToken> {
    refuse(
        &token.pool,
        "an app token may be bound to a tenant, not to a pool",
        problems,
    );
    Some(AppToken {
        hash: hash(token, problems)?,
        tenant: token.tenant.get().cloned(),
    })
}

fn register(token: &RawToken, pools: &[PoolConfig], problems: &mut Collector<'_>) -> Option<RegisterToken> {
    refuse(
        &token.tenant,
        "a register token is bound to a pool, not to a tenant",
        problems,
    );
    let hash = hash(token, problems);
    let pool = token.pool.required("\"on-premises\"", problems)?;
    if let Some(config) = known(&token.pool, pools, problems)
        && config.automatic
    {
        let wrong = format!("the pool {pool} launches its own servers; only external pools take registrations");
        problems.problem(&token.pool.at, wrong, "name an external pool");
    }
    Some(RegisterToken {
        hash: hash?,
        pool: pool.clone(),
    })
}

fn refuse<V>(entry: &Entry<V>, wrong: &str, problems: &mut Collector<'_>) {
    if entry.is_written {
        problems.problem(&entry.at, wrong, "remove it");
    }
}

fn known<'p>(pool: &Entry<PoolName>, pools: &'p [PoolConfig], problems: &mut Collector<'_>) -> Option<&'p PoolConfig> {
    let name = pool.get()?;
    let found = pools.iter().find(|pool| pool.name == *name);
    if found.is_none() {
        problems.problem(
            &pool.at,
            format!("there is no pool {name} in this file"),
            "name one of its [[pool]]s",
        );
    }
    found
}
