//! What the headers of a request say of it: whether it is the hot call, and how long it may take.

use http::uri::Authority;

use super::hpack;

/// How gRPC says that a message is one of protobuf.
const CONTENT_TYPES: [&[u8]; 2] = [b"application/grpc", b"application/grpc+proto"];

/// An authority for requests that bring one along that is none. Nothing here looks at it.
const SOME_AUTHORITY: &[u8] = b"localhost";

/// The headers of a request, understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    /// All fields, in the form that needs no table.
    fields: Box<[u8]>,
    /// Whether it is the call that is answered in place, as far as its headers tell.
    pub is_hot: bool,
    timeout: Option<Box<[u8]>>,
}

/// What has been seen of a request's headers.
#[derive(Default)]
struct Seen<'f> {
    method: Option<&'f [u8]>,
    path: Option<&'f [u8]>,
    scheme: Option<&'f [u8]>,
    content_type: Option<&'f [u8]>,
    timeout: Option<&'f [u8]>,
    authority: Option<&'f [u8]>,
    /// Whether a field came that is no pseudo-header; none of those may come behind it.
    any_regular: bool,
    /// Whether there is something that only the HTTP library is to judge.
    odd: bool,
}

impl Call {
    /// Reads the fields of a block that needs no table.
    pub fn read(plain: &[u8], hot_path: &str) -> Call {
        let mut seen = Seen::default();
        hpack::fields(plain).for_each(|(name, value)| seen.field(name, value));
        Call {
            is_hot: seen.is_hot(hot_path.as_bytes()),
            timeout: seen.timeout.map(Box::from),
            fields: seen.with_good_authority(plain),
        }
    }

    /// The `grpc-timeout` that the request brings along.
    pub fn timeout(&self) -> Option<&[u8]> {
        self.timeout.as_deref()
    }

    /// The header block as it is handed on.
    pub fn fields(&self) -> &[u8] {
        &self.fields
    }
}

impl<'f> Seen<'f> {
    fn field(&mut self, name: &'f [u8], value: &'f [u8]) {
        let is_pseudo = name.first() == Some(&b':');
        self.odd |= is_pseudo && self.any_regular || !value.iter().all(|&it| is_of_a_value(it));
        self.any_regular |= !is_pseudo;
        let place = match name {
            b":method" => &mut self.method,
            b":path" => &mut self.path,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b"content-type" => &mut self.content_type,
            b"grpc-timeout" => &mut self.timeout,
            b"te" => {
                self.odd |= value != b"trailers";
                return;
            }
            _ => {
                self.odd |= !is_usual(name);
                return;
            }
        };
        self.odd |= place.replace(value).is_some();
    }

    fn is_hot(&self, path: &[u8]) -> bool {
        !self.odd
            && self.path == Some(path)
            && self.method == Some(b"POST")
            && matches!(self.scheme, Some(b"http" | b"https"))
            && self.content_type.is_some_and(|it| CONTENT_TYPES.contains(&it))
    }

    /// The fields, with an authority that the HTTP library takes. Envoy puts its cluster's name
    /// there, and those of Istio and Contour hold `|` and `/`.
    fn with_good_authority(&self, plain: &[u8]) -> Box<[u8]> {
        let good = |value: &[u8]| Authority::try_from(value).is_ok();
        if self.authority.is_none_or(good) {
            return plain.into();
        }
        let mut fields = Vec::with_capacity(plain.len());
        for (name, value) in hpack::fields(plain) {
            let value = if name == b":authority" { SOME_AUTHORITY } else { value };
            hpack::push(&mut fields, name, value);
        }
        fields.into()
    }
}

/// Whether a header may come with a hot call and means nothing to it. What would mean something,
/// and what HTTP/2 forbids, is left to the library.
fn is_usual(name: &[u8]) -> bool {
    const UNUSUAL: [&[u8]; 10] = [
        b"connection",
        b"content-encoding",
        b"content-length",
        b"expect",
        b"grpc-encoding",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
    ];
    !name.is_empty() && name.iter().all(|&byte| is_of_a_name(byte)) && !UNUSUAL.contains(&name)
}

/// Whether a byte may stand in a header's name (RFC 9110, section 5.6.2), which HTTP/2 has in lower
/// case.
fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a byte may stand in a header's value: all but the controls, save a tab.
fn is_of_a_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/some.Service/Method";

    const USUAL: [(&str, &str); 5] = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", PATH),
        (":authority", "ratelimit"),
        ("content-type", "application/grpc"),
    ];

    fn read(fields: &[(&str, &str)]) -> Call {
        let mut plain = Vec::new();
        for (name, value) in fields {
            hpack::push(&mut plain, name.as_bytes(), value.as_bytes());
        }
        Call::read(&plain, PATH)
    }

    fn with(field: (&str, &str)) -> Call {
        read(&[&USUAL[..], &[field]].concat())
    }

    #[test]
    fn the_usual_call_is_hot() {
        assert!(read(&USUAL).is_hot);
        for field in [("te", "trailers"), ("traceparent", "00-1-2"), ("user-agent", "Ä")] {
            assert!(with(field).is_hot, "{field:?}");
        }
        assert_eq!(with(("grpc-timeout", "20m")).timeout(), Some(&b"20m"[..]));
    }

    #[test]
    fn whatever_is_odd_is_not() {
        let odd = [
            (":path", PATH),
            (":other", "x"),
            ("te", "gzip"),
            ("Upper", "x"),
            ("", "x"),
            ("x", "new\nline"),
            ("grpc-encoding", "gzip"),
            ("content-length", "7"),
            ("connection", "close"),
            ("content-type", "application/grpc"),
        ];
        for field in odd {
            assert!(!with(field).is_hot, "{field:?}");
        }
        for left_out in USUAL {
            let rest: Vec<_> = USUAL.into_iter().filter(|it| *it != left_out).collect();
            // The authority alone may be missing.
            assert_eq!(read(&rest).is_hot, left_out.0 == ":authority", "{left_out:?}");
        }
    }

    #[test]
    fn an_authority_that_is_none_is_hot_and_handed_on_as_another() {
        for odd in ["outbound|8081||ratelimit.default.svc.cluster.local", "a/b", "%2Ftmp%2Fx.sock"]
        {
            let mut fields = USUAL;
            fields[3].1 = odd;
            let call = read(&fields);
            assert!(call.is_hot, "{odd}");
            let authority = hpack::fields(call.fields()).find(|(name, _)| *name == b":authority");
            assert_eq!(authority, Some((&b":authority"[..], SOME_AUTHORITY)), "{odd}");
        }
    }
}
