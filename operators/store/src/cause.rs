//! What a failure of a store means, and the way out.

use std::io;

use object_store::Error;

/// Causes of failures that someone can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No space left.
    Full,
    /// The file system or store denies access.
    Denied,
    /// The bucket or container does not exist.
    NoBucket,
    /// The bucket is in another region.
    Region,
    /// The credentials have expired.
    Expired,
    /// The credentials are unknown to the store, or there are none.
    Credentials,
    /// The clock of this machine differs from the store's.
    Clock,
    /// The store cannot be reached.
    Unreachable,
    /// The store is busy.
    Busy,
    /// The store does not implement what was asked.
    Unsupported,
    /// The store does not understand the request, and never will.
    Refused,
    /// A listing has an object whose key is not a path.
    Key,
    /// Anything else.
    Other,
}

impl Cause {
    /// The cause of a store's error.
    pub(crate) fn of(error: &Error) -> Self {
        let first: &(dyn std::error::Error + 'static) = error;
        let mut causes = std::iter::successors(Some(first), |&error| error.source());
        let io = causes.find_map(|error| error.downcast_ref::<io::Error>());
        if let Some(cause) = io.and_then(of_file_system) {
            return cause;
        }
        // The codes are part of the stores' protocols; object_store passes their answers on as text only.
        let text = format!("{error:?}");
        let says = |codes: &[&str]| codes.iter().any(|code| text.contains(code));
        match error {
            Error::InvalidPath { .. } => Self::Key,
            _ if says(&["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"]) => Self::NoBucket,
            _ if says(&[
                "PermanentRedirect",
                "BareRedirect",
                "AuthorizationHeaderMalformed",
                "IllegalLocationConstraint",
            ]) =>
            {
                Self::Region
            }
            _ if says(&[
                "ExpiredToken",
                "TokenRefreshRequired",
                "RequestExpired",
                "Signature expired",
                "Signature not valid in the specified time frame",
            ]) =>
            {
                Self::Expired
            }
            _ if says(&["RequestTimeTooSkewed", "request time is too skewed", "Request date header too old"]) => {
                Self::Clock
            }
            _ if says(&[
                "InvalidAccessKeyId",
                "SignatureDoesNotMatch",
                "InvalidToken",
                "169.254.169.254",
                "InvalidAuthenticationInfo",
                "failed to authenticate the request",
            ]) =>
            {
                Self::Credentials
            }
            Error::PermissionDenied { .. } => Self::Denied,
            Error::Unauthenticated { .. } => Self::Credentials,
            // Listings fail without a kind.
            _ if says(&["AccessDenied", "AuthorizationPermissionMismatch", "status: 403"]) => Self::Denied,
            _ if says(&["SlowDown", "ServerBusy", "status: 503", "status: 429"]) => Self::Busy,
            _ if says(&["kind: Connect", "kind: Timeout"]) => Self::Unreachable,
            // Bytes that were lost or changed on the way; everything else with this status is refused again.
            _ if says(&["RequestTimeout", "IncompleteBody", "BadDigest"]) => Self::Other,
            _ if says(&["status: 400", "status: 405"]) => Self::Refused,
            _ if says(&["NotImplemented", "status: 501"]) => Self::Unsupported,
            _ => Self::Other,
        }
    }

    /// Whether running again may succeed without changing anything.
    pub(crate) fn is_transient(self) -> bool {
        matches!(self, Self::Full | Self::Unreachable | Self::Busy | Self::Other)
    }

    /// The cause, if it is known, and the way out: `CAUSE; WAY OUT`.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Full => "no space left; free some space and run again (the current input was not committed)",
            Self::Denied => "permission denied; grant access or choose another place",
            Self::NoBucket => "the bucket does not exist; create it or check the URL",
            Self::Region => "the bucket is in another region; pass --store-option region=REGION",
            Self::Expired => "the credentials have expired; renew them and run again",
            Self::Credentials => {
                "the store does not accept the credentials, or there are none; set them in the provider's environment \
                 variables or profile"
            }
            Self::Clock => "the clock of this machine is wrong; set it and run again",
            Self::Unreachable => {
                "the store cannot be reached; check the endpoint and run again (existing commits are kept)"
            }
            Self::Busy => "the store is busy; run again later (existing commits are kept)",
            Self::Unsupported => "the store does not support the request; choose another store",
            Self::Refused => "the store refuses the request; check the URL, the endpoint and the store's options",
            Self::Key => {
                "an object there has a key that is not a path, which hides those that follow it; remove or rename it (no other \
                 program may write there)"
            }
            Self::Other => "run again (existing commits are kept)",
        }
    }
}

fn of_file_system(error: &io::Error) -> Option<Cause> {
    use io::ErrorKind::{NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => Some(Cause::Full),
        PermissionDenied | ReadOnlyFilesystem | NotADirectory => Some(Cause::Denied),
        _ => None,
    }
}
