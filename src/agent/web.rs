//! The page at `/` for those without a terminal.
//!
//! Owns the page's text, put together once from its parts, and the headers it
//! is served with. The page holds no data and no secret, so it is served
//! without a token: what it shows it asks for with the token that its user
//! types in. Whatever is changed in its parts changes the hashes in its
//! content security policy, so that nothing else runs or styles there.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

const FRAME: &str = include_str!("web/page.html");
const STYLE: &str = include_str!("web/page.css");
/// In this order: each uses names of those before it, and of those after it
/// only when all are there.
const SCRIPTS: [&str; 7] = [
    include_str!("web/words.js"),
    include_str!("web/cards.js"),
    include_str!("web/order.js"),
    include_str!("web/health.js"),
    include_str!("web/link.js"),
    include_str!("web/past.js"),
    include_str!("web/main.js"),
];
const STYLE_ENDS: &str = "</style>";
const SCRIPT_ENDS: &str = "</script>";

/// The page as it is served.
struct Web {
    text: Bytes,
    /// Its content security policy.
    policy: HeaderValue,
    /// Changes with the page.
    tag: HeaderValue,
}

static WEB: LazyLock<Web> = LazyLock::new(|| {
    let script = SCRIPTS.concat();
    let text = FRAME.replacen(STYLE_ENDS, &[STYLE, STYLE_ENDS].concat(), 1).replacen(
        SCRIPT_ENDS,
        &[&script, SCRIPT_ENDS].concat(),
        1,
    );
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
        hash(&script),
        hash(STYLE)
    );
    Web { policy: value(&policy), tag: value(&format!("\"{}\"", hash(&text))), text: text.into() }
});

/// Base64 and the words around it are always fit for a header.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

/// The answer of `/`; no more than its tag to a browser that has it already.
pub(super) fn answer(asked: &HeaderMap) -> Response {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|tags| {
        let tags = tags.to_str().unwrap_or_default().split(',');
        tags.map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == WEB.tag)
    });
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        ([(header::CONTENT_TYPE, kind)], WEB.text.clone()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, WEB.policy.clone());
    headers.insert(header::ETAG, WEB.tag.clone());
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-cache"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> &'static str {
        std::str::from_utf8(&WEB.text).unwrap()
    }

    #[test]
    fn the_policy_names_what_stands_in_the_page() {
        let policy = WEB.policy.to_str().unwrap();
        for (begins, ends, source) in
            [("<style>", "</style>", "style-src"), ("<script type=\"module\">", "</script>", "script-src")]
        {
            let (_, rest) = text().split_once(begins).unwrap();
            let (inner, rest) = rest.split_once(ends).unwrap();
            assert!(inner.len() > 1000 && !rest.contains(ends), "there is one {begins} and it is whole");
            assert!(policy.contains(&format!("{source} 'sha256-{}';", hash(inner))), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn the_page_reads_nothing_from_elsewhere_and_makes_no_markup_of_text() {
        // The namespace of an image that is written into the page names no place to ask.
        let text = text().replace("http://www.w3.org/2000/svg", "");
        for word in [
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            " style=\"",
            "onclick=\"",
            "onerror=",
            "@import",
            "url(",
            "console.",
        ] {
            assert!(!text.contains(word), "{word}");
        }
    }

    #[test]
    fn a_browser_that_has_it_is_told_so() {
        let mut asked = HeaderMap::new();
        assert_eq!(answer(&asked).status(), 200);
        asked.insert(header::IF_NONE_MATCH, WEB.tag.clone());
        let again = answer(&asked);
        assert_eq!(again.status(), 304);
        assert!(again.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        asked.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"another\""));
        assert_eq!(answer(&asked).status(), 200);
    }
}
