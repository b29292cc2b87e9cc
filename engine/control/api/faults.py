"""Every error an answer of the API can carry, by AWS's name. (pure)

The first part is the exception shapes of AWS's model; a test holds both against each other. The
second part is what AWS's services of this protocol answer without modelling it: its front door
(signatures, unknown operations, bodies that are no JSON) and DMS's own checks of values.

A fault is an answer to the caller, not an accident: its message says what to change, and holds no
secret and no row value. Whatever else an operation raises becomes `InternalFailure`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from engine.errors import PenstockError


class Fault(PenstockError):  # noqa: N818  # the word of AWS
    """An error that the caller is told. `members` are those of the fault's shape, beside the
    message."""

    code: ClassVar[str] = "InternalFailure"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST

    def __init_subclass__(cls, code: str = "") -> None:
        cls.code = code or cls.__name__

    def __init__(self, message: str, **members: str) -> None:
        super().__init__(message)
        self.members = members

    def body(self) -> Mapping[str, str]:
        """The answer's JSON. Clients take the name of the error from `__type`."""
        return {"__type": self.code, "message": self.message, **self.members}


# What AWS models.


class AccessDeniedFault(Fault): ...


class CollectorNotFoundFault(Fault): ...


class FailedDependencyFault(Fault): ...


class InsufficientResourceCapacityFault(Fault): ...


class InvalidCertificateFault(Fault): ...


class InvalidOperationFault(Fault): ...


class InvalidResourceStateFault(Fault): ...


class InvalidSubnet(Fault): ...


class KMSAccessDeniedFault(Fault): ...


class KMSDisabledFault(Fault): ...


class KMSFault(Fault): ...


class KMSInvalidStateFault(Fault): ...


class KMSKeyNotAccessibleFault(Fault): ...


class KMSNotFoundFault(Fault): ...


class KMSThrottlingFault(Fault): ...


class ReplicationSubnetGroupDoesNotCoverEnoughAZs(Fault): ...


class ResourceAlreadyExistsFault(Fault):
    """`resource_arn` is the ARN of what has the name already."""

    def __init__(self, message: str, *, resource_arn: str) -> None:
        super().__init__(message, resourceArn=resource_arn)


class ResourceNotFoundFault(Fault): ...


class ResourceQuotaExceededFault(Fault): ...


class S3AccessDeniedFault(Fault): ...


class S3ResourceNotFoundFault(Fault): ...


class SNSInvalidTopicFault(Fault): ...


class SNSNoAuthorizationFault(Fault): ...


class StorageQuotaExceededFault(Fault): ...


class SubnetAlreadyInUse(Fault): ...


class UpgradeDependencyFailureFault(Fault): ...


# What AWS answers without modelling it.


class AccessDeniedException(Fault):
    """The caller is known, and may not do this."""


class IncompleteSignatureException(Fault):
    """The signature cannot be read."""


class InvalidSignatureException(Fault):
    """The signature is not the one this request has under that key."""


class MissingAuthenticationTokenException(Fault):
    """The request is not signed."""


class UnrecognizedClientException(Fault):
    """There is no such access key."""


class SerializationException(Fault):
    """The body is no JSON, or a value of another type than its member."""


class UnknownOperationException(Fault):
    """There is no such operation, or none that is served."""


class UnknownAddressException(UnknownOperationException, code="UnknownOperationException"):
    """Operations are called in another way, or at another place."""

    status = HTTPStatus.NOT_FOUND


class InvalidParameterValueException(Fault):
    """A value DMS does not take: its answer to whatever is wrong with a member."""


class InvalidParameterCombinationException(Fault):
    """Values that are right one by one, and not together."""


class ThrottlingException(Fault):
    """The caller asks more often than it may."""


class RequestEntityTooLargeException(Fault):
    """The body is larger than one may be."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class RequestHeaderFieldsTooLargeException(Fault):
    """The headers are larger than they may be."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class RequestTimeoutException(Fault):
    """The body did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


class ServiceUnavailableException(Fault):
    """It may work later: the daemon is stopping, or the operation took too long."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class InternalFailure(Fault):
    """A defect of ours, or of the machine; the daemon's log has what it was, by request id."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
