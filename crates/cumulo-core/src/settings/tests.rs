use secrecy::ExposeSecret;

use super::*;

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()
}

fn load(pairs: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    Settings::load(&owned(pairs), &owned(env))
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    load(pairs, &[]).expect("settings are right").settings
}

fn mistakes(pairs: &[(&str, &str)]) -> Vec<String> {
    let mistakes = load(pairs, &[]).expect_err("settings are wrong").0;
    mistakes.into_iter().map(|m| format!("{}: {}", m.setting, m.problem)).collect()
}

fn warnings(pairs: &[(&str, &str)]) -> Vec<String> {
    load(pairs, &[]).expect("settings are right").warnings
}

#[test]
fn nothing_gives_the_defaults() {
    let loaded = load(&[], &[]).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let settings = loaded.settings;
    assert_eq!(format!("{:?}", settings.eos), "None");
    assert_eq!(settings.batch_max_requests, Some(25));
    assert_eq!(settings.storage_backend, Engine::Memory);
    assert_eq!(settings.principals["bucket_create"], ["system.Authenticated"]);
    assert_eq!(settings.id_generators["record"], IdGenerator::RelaxedUuid);
    assert_eq!(settings.http_api_version, "1.23");
    assert!(settings.auth_policies.is_empty());
}

#[test]
fn three_spellings_are_one_setting() {
    for name in ["kinto.paginate_by", "cumulo.paginate_by", "paginate_by"] {
        assert_eq!(settings(&[(name, "7")]).paginate_by, Some(7), "{name}");
    }
}

#[test]
fn spellings_may_agree_but_not_differ() {
    assert!(settings(&[("kinto.readonly", "true"), ("readonly", "true")]).readonly);
    assert_eq!(
        mistakes(&[("readonly", "false"), ("kinto.readonly", "true")]),
        ["readonly: Settings 'kinto.readonly', 'readonly' are in conflict."]
    );
    // The same spelling twice is a matter of the file: the last counts.
    assert_eq!(settings(&[("paginate_by", "1"), ("paginate_by", "2")]).paginate_by, Some(2));
}

#[test]
fn the_environment_wins_and_is_enough() {
    let file = [("kinto.paginate_by", "7")];
    let env = [
        ("KINTO_PAGINATE_BY", "8"),
        ("CUMULO_BUCKET_READ_PRINCIPALS", "system.Everyone basicauth:abc"),
        ("KINTO_USER_DATA_DELETE_PRINCIPALS", "system.Authenticated"),
        ("KINTO_PLURAL_BUCKET_POST_ENABLED", "false"),
        ("KINTO_RECORD_ID_GENERATOR", "kinto.core.storage.generators.UUID4"),
        ("MULTIAUTH_POLICIES", "basicauth"),
    ];
    let loaded = load(&file, &env).unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.paginate_by, Some(8));
    assert_eq!(settings.principals["bucket_read"], ["system.Everyone", "basicauth:abc"]);
    assert_eq!(settings.principals["user-data_delete"], ["system.Authenticated"]);
    assert!(settings.disabled_endpoints.contains("plural_bucket_post"));
    assert_eq!(settings.id_generators["record"], IdGenerator::Uuid4);
    assert_eq!(settings.auth_policies[0].name, "basicauth");
}

#[test]
fn the_environment_overrides_names_that_only_the_file_knows() {
    let file = [("kinto.blog.Articles.record_cache_expires_seconds", "60")];
    let env = [("KINTO_BLOG_ARTICLES_RECORD_CACHE_EXPIRES_SECONDS", "90")];
    let settings = load(&file, &env).unwrap().settings;
    assert_eq!(settings.cache_expires, HashMap::from([("blog.Articles.record".into(), 90)]));
}

#[test]
fn other_variables_are_none_of_ours() {
    let env = [
        ("PATH", "/bin"),
        ("READONLY", "true"),
        ("KINTO_INI", "kinto.ini"),
        ("KINTO_PORT", "tcp://10.0.0.1:8888"),
        ("KINTO_PORT_8888_TCP", "tcp://10.0.0.1:8888"),
        ("CUMULO_SERVICE_HOST", "10.0.0.1"),
        ("CUMULO_DATA", "data"),
        ("CUMULO_SERVER", "https://example.com/v1"),
        ("CUMULO_AUTH", "alice:secret"),
        ("CUMULO_PROFILE", "work"),
    ];
    let loaded = load(&[], &env).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert!(!loaded.settings.readonly);
}

#[test]
fn variables_with_two_prefixes_must_agree() {
    let env = [("KINTO_READONLY", "true"), ("CUMULO_READONLY", "false")];
    let mistakes = load(&[], &env).unwrap_err().0;
    assert_eq!(
        mistakes[0].problem,
        "Settings 'CUMULO_READONLY', 'KINTO_READONLY' are in conflict."
    );
    let env = [("KINTO_MULTIAUTH_POLICIES", "basicauth"), ("MULTIAUTH_POLICIES", "")];
    assert_eq!(load(&[], &env).unwrap().settings.auth_policies.len(), 1);
}

#[test]
fn all_mistakes_come_at_once_with_the_names_as_typed() {
    let found = mistakes(&[
        ("kinto.paginate_by", "many"),
        ("cumulo.max_json_depth", "101"),
        ("eos", "soon"),
        ("kinto.readonly", "perhaps"),
        ("kinto.bucket_id_generator", "name_generator.Mine"),
    ]);
    assert_eq!(found.len(), 5);
    let found = found.join("\n");
    for expected in [
        "kinto.paginate_by: expected a whole number or nothing, got 'many'",
        "cumulo.max_json_depth: expected a number from 4 to 100, got 101",
        "eos: expected a date such as",
        "kinto.readonly: expected true or false, got 'perhaps'",
        "kinto.bucket_id_generator: expected kinto.views.NameGenerator, kinto.views.RelaxedUUID or",
    ] {
        assert!(found.contains(expected), "{expected} in:\n{found}");
    }
}

#[test]
fn unknown_settings_with_our_prefix_are_warned_of() {
    let found = warnings(&[
        ("kinto.raedonly", "true"),
        ("cumulo.something_else_entirely", "1"),
        ("use", "egg:kinto"),
        ("pyramid.includes", "x"),
        ("bucket_crate_principals", "system.Everyone"),
    ]);
    assert_eq!(
        found,
        [
            "There is no setting 'bucket_crate_principals', did you mean 'bucket_create_principals'?",
            "There is no setting 'kinto.raedonly', did you mean 'kinto.readonly'?",
            "There is no setting 'cumulo.something_else_entirely'.",
        ]
    );
    let env = [("CUMULO_PAGINATE", "1"), ("CUMULO_PAGINAT_BY", "1")];
    let found = load(&[], &env).unwrap().warnings;
    assert!(
        found.iter().any(|warning| warning.contains("did you mean 'CUMULO_PAGINATE_BY'?")),
        "{found:?}"
    );
}

#[test]
fn settings_that_have_no_effect_here() {
    let found = warnings(&[
        ("kinto.newrelic_config", "newrelic.ini"),
        ("kinto.profiler_enabled", "false"),
        ("kinto.storage_pool_size", "25"),
        ("kinto.history.exclude_resources", "/buckets/a"),
        ("kinto.event_listeners.redis.use", "kinto_redis.listeners"),
        ("tm.annotate_user", "true"),
        ("multiauth.authorization_policy", "kinto.authorization.AuthorizationPolicy"),
        ("kinto.multiauth.groupfinder", "x"),
    ]);
    assert_eq!(found, ["'kinto.newrelic_config' has no effect here yet."]);
}

#[test]
fn measurements_need_somewhere_to_go() {
    let url = ("kinto.statsd_url", "udp://localhost");
    let found = warnings(&[url]);
    assert_eq!(
        found,
        ["'kinto.statsd_url' has no effect without the plugin 'statsd' in 'includes'."]
    );
    let on = ("includes", "statsd");
    for (url, address) in [
        ("udp://localhost", "localhost:8125"),
        ("udp://10.0.0.1:9125/", "10.0.0.1:9125"),
        ("udp://[::1]", "[::1]:8125"),
    ] {
        let settings = settings(&[on, ("statsd_url", url)]);
        assert_eq!(settings.statsd_address().as_deref(), Some(address));
    }
    assert_eq!(
        mistakes(&[on]),
        ["cumulo.statsd_url: the plugin 'statsd' needs it: udp://host:port"]
    );
    assert_eq!(mistakes(&[("statsd_url", "localhost:8125")]).len(), 1);
    let buckets = |text| mistakes(&[("prometheus_histogram_buckets", text)]).len();
    assert_eq!((buckets("1 0.5"), buckets("1 1"), buckets("a")), (1, 1, 1));
    let settings = settings(&[("prometheus_histogram_buckets", "0.1 1")]);
    assert_eq!(settings.histogram_bounds(), Some(vec![0.1, 1.0, f64::INFINITY]));
}

#[test]
fn some_variables_mean_the_same_to_many_programs() {
    let env = [("SENTRY_ENV", "stage"), ("OTEL_SERVICE_NAME", "notes")];
    let settings = load(&[], &env).unwrap().settings;
    assert_eq!(settings.sentry_env.as_deref(), Some("stage"));
    assert_eq!(settings.otel_service_name.as_deref(), Some("notes"));
}

#[test]
fn zero_and_nothing_mean_no_limit() {
    for value in ["0", "", "null"] {
        let settings = settings(&[("batch_max_requests", value), ("paginate_by", value)]);
        assert_eq!(settings.batch_max_requests, None);
        assert_eq!(settings.paginate_by, None);
    }
}

#[test]
fn plugins_are_known_by_two_names() {
    let settings = settings(&[(
        "includes",
        "kinto.plugins.flush\n  default_bucket kinto.plugins.default_bucket",
    )]);
    assert_eq!(settings.includes, ["flush", "default_bucket"]);
    let (last, others) = PLUGINS.split_last().unwrap();
    let there_are = format!("there are {} and {last}.", others.join(", "));
    assert_eq!(
        mistakes(&[("kinto.includes", "kinto.plugins.nothing default_bukcet")]),
        [
            format!("kinto.includes: there is no plugin 'kinto.plugins.nothing'; {there_are}"),
            format!(
                "kinto.includes: there is no plugin 'default_bukcet'; {there_are} \
                 Did you mean 'default_bucket'?"
            ),
        ]
    );
}

#[test]
fn backends_are_known_by_two_names() {
    let settings = settings(&[
        ("storage_backend", "kinto.core.storage.sqlite"),
        ("permission_backend", "sqlite"),
        ("cache_backend", "kinto.core.cache.sqlite"),
        ("storage_url", "sqlite:////var/lib/my data.sqlite"),
    ]);
    assert_eq!(settings.storage_backend, Engine::Sqlite);
    assert_eq!(settings.sqlite_path().unwrap().to_str(), Some("/var/lib/my data.sqlite"));
    assert_eq!(
        mistakes(&[("kinto.storage_backend", "kinto.core.storage.mongodb")]),
        ["kinto.storage_backend: expected memory, sqlite or postgresql, got \
             'kinto.core.storage.mongodb'"]
    );
    assert_eq!(mistakes(&[("cache_backend", "kinto.core.cache.mongo")]).len(), 1);
}

#[test]
fn caches_need_their_addresses() {
    let cache = |backend: &str, url: &str| {
        mistakes(&[
            ("cache_backend", backend),
            ("cache_url", url),
            ("storage_url", "sqlite:///same.sqlite"),
        ])
    };
    for backend in ["redis", "postgresql", "memcached"] {
        assert_eq!(cache(backend, "").len(), 1, "{backend}");
    }
    assert_eq!(
        cache("kinto.core.cache.redis", "http://u:secret@h"),
        ["cache_url: expected redis://user:password@host:port/0"]
    );
    assert_eq!(cache("sqlite", "redis://h").len(), 1);
    assert_eq!(cache("sqlite", "sqlite:///same.sqlite").len(), 1);
    for (backend, url) in [
        ("redis", "rediss://h:1/2"),
        ("kinto.core.cache.postgresql", "postgresql+psycopg2://u@h/d"),
        ("sqlite", "sqlite:///other.sqlite"),
        ("sqlite", ""),
        ("memory", "anything"),
    ] {
        assert!(
            Settings::load(
                &[("cache_backend".into(), backend.into()), ("cache_url".into(), url.into())],
                &[]
            )
            .is_ok()
        );
    }
    let hosts = settings(&[("cache_backend", "memcached"), ("cache_hosts", "a:1 b:2")]);
    assert_eq!(hosts.memcached_hosts(), ["a:1", "b:2"]);
    // As `kinto init` writes them.
    let hosts = settings(&[("cache_backend", "memcached"), ("cache_url", "a:1 b:2")]);
    assert_eq!(hosts.memcached_hosts(), ["a:1", "b:2"]);
}

#[test]
fn permissions_follow_the_storage() {
    assert_eq!(
        mistakes(&[("storage_backend", "sqlite"), ("kinto.permission_backend", "memory")]),
        ["kinto.permission_backend: permissions are kept with the objects: set it to the engine \
             of 'storage_backend' (sqlite), or remove it"]
    );
}

#[test]
fn permissions_are_in_the_database_of_the_objects() {
    let url = "postgresql://me:secret@host/db";
    let with = |permission_url: &'static str| {
        [
            ("storage_backend", "postgresql"),
            ("storage_url", url),
            ("permission_backend", "kinto.core.permission.postgresql"),
            ("permission_url", permission_url),
        ]
    };
    settings(&with(url));
    settings(&with(""));
    let found = mistakes(&with("postgresql://me:secret@elsewhere/db"));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("permission_url: permissions are kept in the database"));
    assert!(!found[0].contains("secret"));
}

#[test]
fn a_replica_is_one_of_postgresql_and_wants_a_shared_cache() {
    let url = "postgresql://me:secret@host/db";
    assert_eq!(
        mistakes(&[("storage_backend", "sqlite"), ("storage_read_url", url)]),
        ["storage_read_url: only with 'storage_backend' = postgresql"]
    );
    let base = [("storage_backend", "postgresql"), ("storage_url", url)];
    assert_eq!(
        mistakes(&[&base[..], &[("kinto.storage_read_url", "mysql://me:secret@host/db")]].concat()),
        ["kinto.storage_read_url: expected postgresql://user:password@host:port/database"]
    );
    let with_replica = [&base[..], &[("storage_read_url", url)]].concat();
    assert_eq!(warnings(&with_replica).len(), 1);
    let shared = [("cache_backend", "redis"), ("cache_url", "redis://host")];
    assert!(warnings(&[&with_replica[..], &shared].concat()).is_empty());
}

#[test]
fn a_wrong_storage_url_is_not_repeated() {
    let found = mistakes(&[
        ("storage_backend", "sqlite"),
        ("storage_url", "postgresql://u:secret@host/db"),
    ]);
    assert_eq!(found.len(), 1);
    assert!(!found[0].contains("secret"));
    assert_eq!(
        settings(&[("storage_url", "sqlite:///a/b.db")]).sqlite_path(),
        Some("a/b.db".into())
    );
}

#[test]
fn the_end_of_service_is_kept_as_it_was_written() {
    let settings = settings(&[("kinto.eos", "2069-02-21")]);
    assert_eq!(settings.eos, Some(Timestamp(3_128_630_400_000)));
    assert_eq!(settings.eos_text.as_deref(), Some("2069-02-21"));
}

#[test]
fn policies_have_classes() {
    let policies = settings(&[
        ("multiauth.policies", "Portier basicauth"),
        ("multiauth.policy.Portier.use", "kinto.core.authentication.BasicAuthAuthenticationPolicy"),
        ("userid_hmac_secret", "s"),
    ])
    .auth_policies;
    let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["portier", "basicauth"]);
    let found = mistakes(&[
        ("multiauth.policies", "mine nothing"),
        ("multiauth.policy.mine.use", "mine.Policy"),
    ]);
    assert!(found[0].starts_with("multiauth.policy.mine.use: there is no policy 'mine.Policy'"));
    assert_eq!(
        found[1],
        "multiauth.policies: the policy 'nothing' has no setting 'multiauth.policy.nothing.use'"
    );
}

#[test]
fn accounts_have_a_policy_of_any_name() {
    for class in [
        "kinto.plugins.accounts.AccountsPolicy",
        "kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy",
    ] {
        let settings = settings(&[
            ("includes", "kinto.plugins.accounts"),
            ("multiauth.policies", "Members basicauth"),
            ("multiauth.policy.Members.use", class),
        ]);
        let policy = &settings.auth_policies[0];
        assert_eq!(
            (policy.name.as_str(), policy.kind),
            ("account", PolicyKind::Plugin("accounts"))
        );
        assert_eq!(settings.auth_policies[1].kind, PolicyKind::Basic);
    }
}

#[test]
fn accounts_that_can_not_work_are_refused() {
    let class = ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy");
    let on = ("includes", "accounts");
    let problem = |pairs: &[(&str, &str)]| mistakes(pairs).join("\n");
    assert!(problem(&[on, ("multiauth.policies", "basicauth")]).contains("policy missing"));
    assert!(problem(&[("multiauth.policies", "account"), class]).contains("needs the plugin"));
    let order = problem(&[on, class, ("multiauth.policies", "basicauth account")]);
    assert!(order.contains("must come after"), "{order}");
    let policies = ("multiauth.policies", "account");
    let create = ("kinto.account_create_principals", "system.Everyone account:a account:b");
    let found = problem(&[on, class, policies, create, ("account_write_principals", "account:b")]);
    assert!(found.starts_with("kinto.account_create_principals: "), "{found}");
    assert!(found.ends_with("add there: account:a"), "{found}");
}

#[test]
fn endpoints_can_be_switched_off() {
    let settings = settings(&[
        ("kinto.plural_bucket_POST_enabled", "false"),
        ("kinto.object_user-data_delete_enabled", "no"),
        ("kinto.object_record_get_enabled", "true"),
    ]);
    let expected = ["plural_bucket_post", "object_user-data_delete"].map(str::to_owned);
    assert_eq!(settings.disabled_endpoints, HashSet::from(expected));
}

#[test]
fn cache_durations_keep_their_spelling() {
    let settings = settings(&[
        ("kinto.bucket_cache_expires_seconds", "0"),
        ("kinto.blog.articles.record_cache_expires_seconds", "60"),
        ("kinto.blog_articles_record_cache_expires_seconds", "70"),
        ("kinto.group_cache_expires_seconds", ""),
    ]);
    assert_eq!(
        settings.cache_expires,
        HashMap::from([
            ("bucket".into(), 0),
            ("blog.articles.record".into(), 60),
            ("blog_articles_record".into(), 70),
        ])
    );
}

#[test]
fn secrets_are_kept_from_logs() {
    let settings = settings(&[("userid_hmac_secret", "0123456789")]);
    assert_eq!(settings.userid_hmac_secret.expose_secret(), "0123456789");
    assert!(!format!("{settings:?}").contains("0123456789"));
}

#[test]
fn dangerous_settings_are_warned_of() {
    let found =
        warnings(&[("includes", "flush default_bucket"), ("multiauth.policies", "basicauth")]);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn names_with_dots_have_all_spellings() {
    let at_most = |settings: Settings| settings.history_auto_trim_max_count;
    for name in ["history.auto_trim_max_count", "kinto.history.auto_trim_max_count"] {
        assert_eq!(at_most(settings(&[(name, "7")])), 7);
    }
    for name in ["KINTO_HISTORY_AUTO_TRIM_MAX_COUNT", "CUMULO_HISTORY_AUTO_TRIM_MAX_COUNT"] {
        assert_eq!(at_most(load(&[], &[(name, "8")]).unwrap().settings), 8);
    }
    let found = warnings(&[("kinto.history.exclude_resource", "/buckets/a")]);
    assert!(found[0].contains("kinto.history.exclude_resources"), "{found:?}");
}

#[test]
fn history_needs_uris_and_whole_numbers() {
    let found = mistakes(&[
        ("kinto.history.exclude_resources", "/buckets/a blog /buckets /buckets/a/collections/"),
        ("history.auto_trim_max_count", "many"),
        ("history.auto_trim_threshold", "-1"),
    ]);
    assert_eq!(found.len(), 5, "{found:?}");
    let found = warnings(&[("history.auto_trim_user_ids", "account:bot")]);
    assert!(found[0].contains("history.auto_trim_max_count"), "{found:?}");
}

#[test]
fn counters_are_warned_of_while_everybody_sees_them() {
    let basic = ("includes", "counters");
    assert!(warnings(&[basic])[0].contains("counters_read_principals"));
    assert_eq!(warnings(&[basic, ("counters_read_principals", "account:ann")]), [] as [&str; 0]);
}

#[test]
fn versions_are_numbers_with_dots() {
    assert_eq!(settings(&[("http_api_version", "\"2.0\"")]).http_api_version, "2.0");
    assert_eq!(mistakes(&[("http_api_version", "v1")]).len(), 1);
}

#[test]
fn the_table_reads_its_own_defaults() {
    // Each default, as it is written in the reference, must be understood.
    let pairs: Vec<_> = KEYS.iter().map(|key| (key.name.to_owned(), (key.default)())).collect();
    let loaded = Settings::load(&pairs, &[]).expect("defaults are right");
    // Maps print in any order, and are not read from the table.
    let printed = |settings: Settings| {
        let bare =
            Settings { principals: HashMap::new(), id_generators: HashMap::new(), ..settings };
        format!("{bare:?}")
    };
    assert_eq!(printed(loaded.settings), printed(Settings::default()));
}

/// An OpenID policy `auth0`, with more settings.
fn openid(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let usual = [
        ("kinto.includes", "kinto.plugins.openid"),
        ("multiauth.policies", "auth0 basicauth"),
        ("multiauth.policy.auth0.use", "kinto.plugins.openid.OpenIDConnectPolicy"),
        ("multiauth.policy.auth0.issuer", "https://auth0.example.org/"),
        ("multiauth.policy.auth0.client_id", "abc"),
    ];
    let given = |name: &str| more.iter().any(|(other, _)| *other == name);
    usual.into_iter().filter(|(name, _)| !given(name)).chain(more.iter().copied()).collect()
}

#[test]
fn openid_policies_have_defaults() {
    let loaded = settings(&openid(&[]));
    let [provider] = &loaded.openid_providers[..] else { panic!("one provider") };
    assert_eq!((provider.name.as_str(), provider.client_id.as_str()), ("auth0", "abc"));
    assert_eq!((provider.header_type.as_str(), provider.userid_field.as_str()), ("Bearer", "sub"));
    assert_eq!((provider.verification_ttl_seconds, provider.state_ttl_seconds), (86_400, 3600));
    assert_eq!(provider.state_length, 32);
    assert_eq!(provider.allowed_scopes, ["openid", "email", "profile"]);
    assert_eq!(loaded.auth_policies[0].scheme, "Bearer");
}

#[test]
fn openid_policies_can_be_named_like_anything() {
    let loaded = settings(&openid(&[
        ("multiauth.policies", "FxA"),
        ("multiauth.policy.FxA.use", "kinto.plugins.openid.OpenIDConnectPolicy"),
        ("multiauth.policy.FxA.issuer", "https://accounts.example.org"),
        ("multiauth.policy.FxA.client_id", "abc"),
        ("multiauth.policy.FxA.header_type", "Bearer+OIDC"),
    ]));
    assert_eq!(loaded.openid_providers[0].name, "FxA");
    assert_eq!(loaded.auth_policies[0].name, "fxa");
    assert_eq!(loaded.auth_policies[0].scheme, "Bearer+OIDC");
}

#[test]
fn secrets_of_policies_can_come_from_the_environment() {
    let secret = |file: &[(&str, &str)], variable: &str| {
        let mut settings = load(file, &[(variable, "s3cret")]).expect("valid").settings;
        let provider = settings.openid_providers.remove(0);
        assert!(!format!("{provider:?}").contains("s3cret"));
        provider.client_secret.expose_secret().to_owned()
    };
    assert_eq!(secret(&openid(&[]), "MULTIAUTH_POLICY_AUTH0_CLIENT_SECRET"), "s3cret");
    assert_eq!(secret(&openid(&[]), "CUMULO_MULTIAUTH_POLICY_AUTH0_CLIENT_SECRET"), "s3cret");
    let named = [
        ("includes", "openid"),
        ("multiauth.policies", "my My-id"),
        ("multiauth.policy.my.use", "basicauth"),
        ("multiauth.policy.My-id.use", "kinto.plugins.openid.OpenIDConnectPolicy"),
        ("multiauth.policy.My-id.issuer", "https://id.example.org"),
        ("multiauth.policy.My-id.client_id", "abc"),
    ];
    assert_eq!(secret(&named, "MULTIAUTH_POLICY_MY_ID_CLIENT_SECRET"), "s3cret");
}

#[test]
fn mistakes_in_openid_policies_name_the_setting() {
    for (name, value, expected) in [
        ("issuer", "", "needs it"),
        ("client_id", "", "needs it"),
        ("issuer", "auth0.example.org", "expected a URL"),
        ("issuer", "https://a.org/?x=1", "without ?"),
        ("issuer", "http://auth0.example.org/", "expected https://"),
        ("issuer", "http://localhost.example.org/", "expected https://"),
        ("header_type", "Basic", "other than Basic"),
        ("header_type", "Bearer x", "other than Basic"),
        ("verification_ttl_seconds", "0", "from 1 to"),
        ("state_ttl_seconds", "soon", "whole number"),
        ("state_length", "4", "from 16 to 128"),
        ("trusted_callback_urls", "https://a.org/* a.org", "got 'a.org'"),
    ] {
        let name: &'static str = format!("multiauth.policy.auth0.{name}").leak();
        let found = mistakes(&openid(&[(name, value)]));
        let wanted = |found: &&String| found.starts_with(name) && found.contains(expected);
        assert_eq!(found.iter().filter(wanted).count(), 1, "{name}: {found:?}");
    }
    for issuer in ["http://127.0.0.1:9000/x", "http://localhost", "http://[::1]:80/"] {
        settings(&openid(&[("multiauth.policy.auth0.issuer", issuer)]));
    }
    settings(&openid(&[
        ("multiauth.policy.auth0.issuer", "http://id.internal"),
        ("multiauth.policy.auth0.allow_http", "true"),
    ]));
}

#[test]
fn openid_policies_need_their_plugin_and_a_name_of_their_own() {
    let found = mistakes(&openid(&[("kinto.includes", "")]));
    assert!(found[0].contains("needs the plugin 'openid'"), "{found:?}");
    let found = mistakes(&openid(&[
        ("multiauth.policies", "account"),
        ("multiauth.policy.account.use", "kinto.plugins.openid.OpenIDConnectPolicy"),
        ("multiauth.policy.account.issuer", "https://a.org"),
        ("multiauth.policy.account.client_id", "abc"),
    ]));
    assert!(found[0].starts_with("multiauth.policy.account.use"), "{found:?}");
    let twice = mistakes(&openid(&[
        ("multiauth.policies", "auth0 AUTH0"),
        ("multiauth.policy.AUTH0.use", "basicauth"),
    ]));
    assert!(twice[0].contains("more than one policy 'auth0'"), "{twice:?}");
}

#[test]
fn a_mistyped_setting_of_an_openid_policy_is_warned_of() {
    let found = warnings(&openid(&[
        ("kinto.userid_hmac_secret", "x"),
        ("multiauth.policy.auth0.audiance", "api"),
    ]));
    assert_eq!(
        found,
        ["There is no setting 'multiauth.policy.auth0.audiance', did you mean \
          'multiauth.policy.auth0.audience'?"]
    );
}
