//! URLs and URIs: a base URL that carries no credentials, and a way to show a
//! URI without the user and password that may stand in it.

use super::error::Fault;

/// Beginning of a token of InfluxDB 3, wherever in a URL it stands.
const TOKEN_PREFIX: &str = "apiv3_";

/// Checks a base URL for delivery. `Err(None)`: not such a URL.
///
/// # Errors
/// A fault of its own where it carries credentials; none of it is kept.
pub(super) fn base_url(key: &'static str, text: &str) -> Result<String, Option<Fault>> {
    const MEND: &str = "set INFLUX_TOKEN, or INFLUX_USER and INFLUX_PASSWORD, instead";
    let url = without_credentials(key, text, MEND)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(None);
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Checks the URL of a proxy, which has no path. `Err(None)`: not such a URL.
///
/// # Errors
/// As [`base_url`].
pub(super) fn proxy(key: &'static str, text: &str) -> Result<String, Option<Fault>> {
    const MEND: &str = "leave influx.proxy at \"auto\" and name a proxy that asks for credentials in the \
                        environment (HTTPS_PROXY, HTTP_PROXY)";
    let url = without_credentials(key, text, MEND)?;
    if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") || !matches!(url.path(), "" | "/") {
        return Err(None);
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A URL of a host, without user, parameters and fragment.
fn without_credentials(key: &'static str, text: &str, mend: &'static str) -> Result<url::Url, Option<Fault>> {
    let carries = |what| Err(Some(Fault::SecretInUrl { key, what, mend }));
    let lower = text.to_ascii_lowercase();
    if lower.contains(TOKEN_PREFIX) {
        return carries("a token");
    }
    // The parser drops line breaks and turns \ into /; what is kept is the text
    // as it was given, so it must hold neither.
    let clean = !text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\');
    let Some(url) = url::Url::parse(text).ok().filter(|_| clean) else {
        // Whatever it is, an @ before the path is the mark of a user.
        let authority = lower.split_once("://").map_or(&*lower, |(_, rest)| rest);
        return if authority.contains('@') { carries("a user or password") } else { Err(None) };
    };
    if !url.username().is_empty() || url.password().is_some() || authority_has_user(text) {
        return carries("a user or password");
    }
    if url.query_pairs().any(|(name, _)| is_secret_name(&name) || matches!(&*name, "p" | "u")) {
        return carries("a user, password or token");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.has_host() {
        return Err(None);
    }
    Ok(url)
}

/// `http://@host`, `mailto:a@b` and their like, which the parser takes for a
/// URL without a user.
fn authority_has_user(text: &str) -> bool {
    let after_scheme = text.split_once(':').map_or(text, |(_, rest)| rest);
    let authority = after_scheme.trim_start_matches(['/', '\\']);
    authority.split(['/', '\\', '?', '#']).next().is_some_and(|part| part.contains('@'))
}

/// Whether a key, tag or parameter of this name asks for a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "password", "passwd", "secret", "credential", "apikey", "api_key", "api-key"]
        .iter()
        .any(|word| name.contains(word))
        || matches!(&*name, "pass" | "pw" | "pwd")
}

/// A URI fit to show: everything before the host's @, and parameters named
/// like a secret, become `***`. A password may itself hold `/`, `?` or `@`, so
/// where there is a host, all up to the last @ is hidden.
#[must_use]
pub fn masked(uri: &str) -> String {
    let (scheme, rest) = uri.find("://").map_or(("", uri), |at| uri.split_at(at + 3));
    let rest = match rest.rsplit_once('@') {
        Some((_, host)) if !rest.starts_with('/') => format!("***@{host}"),
        _ => rest.to_owned(),
    };
    let Some((path, query)) = rest.split_once('?') else { return format!("{scheme}{rest}") };
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) if is_secret_name(name) => format!("{name}=***"),
        _ => part.to_owned(),
    });
    format!("{scheme}{path}?{}", parts.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_keeps_its_prefix_and_carries_no_credentials() {
        let check = |text| base_url("influx.url", text);
        assert_eq!(check("http://localhost:8086").unwrap(), "http://localhost:8086");
        assert_eq!(
            check("https://vm.example/insert/0/influx/").unwrap(),
            "https://vm.example/insert/0/influx"
        );
        for secret in [
            "http://admin:hunter2@localhost:8086",
            "http://admin@localhost",
            "http://:hunter2@localhost",
            "http://@localhost",
            "http://adm in:hunter2@local host",
            "admin:hunter2@localhost:8086",
            "http:admin:hunter2@localhost",
            "http://localhost/?token=hunter2",
            "http://localhost/?u=admin&p=hunter2",
            "http://localhost/?Password=hunter2",
            "http://localhost/?%74oken=hunter2",
            "http://localhost/apiv3_hunter2",
            "http://localhost/#apiv3_hunter2",
        ] {
            let refused = check(secret);
            assert!(matches!(refused, Err(Some(Fault::SecretInUrl { .. }))), "{secret}: {refused:?}");
            assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
        }
        for no_url in [
            "",
            "localhost:8086",
            "ftp://host",
            "http://",
            "http://h/?db=x",
            "http://h/#x",
            "unix:/x",
            "http://a\nb/",
            "http://h\\x",
            " http://h",
        ] {
            assert_eq!(check(no_url), Err(None), "{no_url}");
        }
    }

    #[test]
    fn what_is_shown_of_a_uri_has_no_user_and_no_password() {
        assert_eq!(masked("qemu:///system"), "qemu:///system");
        assert_eq!(masked("test:///srv/a@b.xml"), "test:///srv/a@b.xml");
        assert_eq!(masked("qemu+ssh://root@hv-07/system"), "qemu+ssh://***@hv-07/system");
        for password in ["p", "p@ss", "p/x", "p?x=y&z", "p#x"] {
            let uri = format!("qemu+tcp://u:{password}@hv-07/system");
            assert_eq!(masked(&uri), "qemu+tcp://***@hv-07/system", "{uri}");
        }
        assert_eq!(masked("u:p@hv-07/system"), "***@hv-07/system");
        assert_eq!(masked("qemu+ssh://hv-07/system?keyfile=/k"), "qemu+ssh://hv-07/system?keyfile=/k");
        assert_eq!(
            masked("esx://u:p@h/?no_verify=1&password=hunter2"),
            "esx://***@h/?no_verify=1&password=***"
        );
    }

    #[test]
    fn a_proxy_is_a_host_without_a_path_and_without_credentials() {
        let check = |text| proxy("influx.proxy", text);
        for (text, kept) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("https://proxy.example/", "https://proxy.example"),
            ("socks5://[::1]:1080", "socks5://[::1]:1080"),
            ("socks5h://proxy.example", "socks5h://proxy.example"),
        ] {
            assert_eq!(check(text).unwrap(), kept);
        }
        for secret in ["http://me:hunter2@proxy.example:3128", "socks5://hunter2@proxy", "me:hunter2@proxy:1"]
        {
            let Err(Some(refused)) = check(secret) else { panic!("{secret}") };
            let words = refused.to_string();
            assert!(words.contains("influx.proxy") && words.contains("HTTPS_PROXY"), "{words}");
            assert!(!words.contains("hunter2"), "{words}");
        }
        for no_proxy in
            ["proxy.example:3128", "ftp://proxy", "http://proxy/path", "http://proxy?x=1", "http://"]
        {
            assert!(matches!(check(no_proxy), Err(None)), "{no_proxy}: {:?}", check(no_proxy));
        }
    }
}
