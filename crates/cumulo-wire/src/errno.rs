//! The numbers of errors: <https://docs.kinto-storage.org/en/stable/api/1.x/errors.html>

use http::StatusCode;

/// Makes the enum, [`Errno::ALL`], [`Errno::status`] and the numbers from one table.
macro_rules! errno {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $status:ident;)*) => {
        /// Stable numbers that tell errors apart where the HTTP status does not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Errno { $($(#[$doc])* $name = $number,)* }

        impl Errno {
            /// Every number that the API uses.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The HTTP status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The error that has this number.
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

errno! {
    /// Nobody is logged in, and the request needs somebody.
    MissingAuthToken = 104, UNAUTHORIZED;
    /// A parameter, header or the body is not as it must be.
    InvalidParameters = 107, BAD_REQUEST;
    /// There is no object with this id.
    InvalidResourceId = 110, NOT_FOUND;
    /// The URL, or an object above the one that it names, does not exist.
    MissingResource = 111, NOT_FOUND;
    /// The request is larger than the settings allow.
    RequestTooLarge = 113, PAYLOAD_TOO_LARGE;
    /// A precondition of the request does not hold.
    ModifiedMeanwhile = 114, PRECONDITION_FAILED;
    /// The URL exists, but not for this method.
    MethodNotAllowed = 115, METHOD_NOT_ALLOWED;
    /// The URL is not one of this version of the API.
    VersionNotAvailable = 116, NOT_FOUND;
    /// The client asks too often.
    TooManyRequests = 117, TOO_MANY_REQUESTS;
    /// The user has not the permission.
    Forbidden = 121, FORBIDDEN;
    /// Another change got in the way.
    ConstraintViolated = 122, CONFLICT;
    /// The storage can't serve now.
    Backend = 201, SERVICE_UNAVAILABLE;
    /// The service has ended.
    ServiceDeprecated = 202, GONE;
    /// A defect of the server.
    Undefined = 999, INTERNAL_SERVER_ERROR;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_names_its_error() {
        for errno in Errno::ALL {
            assert_eq!(Errno::from_number(*errno as u16), Some(*errno));
        }
        assert_eq!(Errno::from_number(1), None);
    }
}
