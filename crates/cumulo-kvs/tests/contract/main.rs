//! The laws of [`Kvs`], one test per case and engine, against real servers.
//!
//! An engine is done when `kvs_contract!` is green for it. A new case goes to the module of its
//! subject and to the table in [`kvs_contract`]; a case that is missing there is dead code.

#![expect(clippy::unwrap_used, reason = "tests")]

mod counters;
mod engines;
mod expiry;
mod keys;
mod outages;
mod sharing;
mod values;

/// Expands to one test per case for the engine that `$engine` opens.
macro_rules! kvs_contract {
    ($name:ident, $engine:ty) => {
        mod $name {
            kvs_contract! { @cases $engine;
                values:
                    what_is_set_is_returned,
                    a_missing_key_is_none,
                    a_value_is_replaced,
                    all_bytes_survive,
                    json_survives_as_it_is,
                    large_values_survive_or_are_refused,
                    values_beyond_the_limit_are_refused,
                    a_deleted_key_is_gone,
                    a_taken_value_is_gone,
                    one_of_many_takes_a_value;
                expiry:
                    values_expire,
                    lifetimes_are_told,
                    zero_removes,
                    a_new_value_has_its_own_lifetime,
                    long_lifetimes_are_kept,
                    an_expired_value_is_neither_deleted_nor_taken_nor_listed;
                counters:
                    increments_add_up,
                    concurrent_increments_are_all_counted,
                    counters_expire_when_they_were_said_to,
                    an_expired_value_does_not_stop_a_counter,
                    what_is_no_number_is_not_incremented,
                    sums_that_do_not_fit_are_refused;
                keys:
                    odd_keys_are_apart,
                    long_keys_are_apart,
                    keys_are_listed_by_prefix;
                sharing:
                    stores_with_other_prefixes_are_apart,
                    a_flush_empties_one_store,
                    a_store_without_prefix_is_emptied;
            }
        }
    };
    (@cases $engine:ty; $($subject:ident: $($case:ident),+;)+) => {$(
        mod $subject {
            use crate::engines::Engine as _;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let engine = <$engine>::start();
                    crate::$subject::$case(&engine).await;
                }
            )+
        }
    )+};
}

kvs_contract!(memory, crate::engines::Memory);
kvs_contract!(sqlite, crate::engines::Sqlite);
kvs_contract!(postgresql, crate::engines::Postgresql);
kvs_contract!(redis, crate::engines::Redis);
kvs_contract!(memcached, crate::engines::Memcached);
