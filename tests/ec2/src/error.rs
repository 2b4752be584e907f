//! What EC2 answers instead of doing as asked: the codes, their words and their HTTP statuses.
//!
//! The words are EC2's own as far as they are known, since programs have been seen to look for them.

use serde::{Deserialize, Serialize};

/// A refusal or a failure, as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is named as EC2's code and carries EC2's words")]
pub enum Ec2Error {
    #[error("AWS was not able to validate the provided access credentials")]
    AuthFailure,
    #[error("The request signature does not conform to AWS standards: {0}")]
    IncompleteSignature(String),
    #[error("Request must contain either a valid (registered) AWS access key ID or X.509 certificate.")]
    MissingAuthenticationToken,
    #[error("Request has expired.")]
    RequestExpired,
    #[error(
        "You are not authorized to perform this operation. User: {who} is not authorized to perform: ec2:{action} because no identity-based policy allows the ec2:{action} action.{}",
        encoded_reasons(.encoded.as_deref())
    )]
    UnauthorizedOperation {
        who: String,
        action: String,
        encoded: Option<String>,
    },
    #[error("Request would have succeeded, but DryRun flag is set.")]
    DryRunOperation,

    #[error("The action {0} is not valid for this web service.")]
    InvalidAction(String),
    #[error("The request must contain the parameter Action")]
    MissingAction,
    #[error("The query string contains a syntax error.")]
    MalformedQueryString,
    #[error("The request must contain the parameter {0}")]
    MissingParameter(String),
    #[error("{0}")]
    InvalidParameterValue(String),
    #[error("{0}")]
    InvalidParameterCombination(String),
    #[error("Invalid value for NextToken")]
    InvalidNextToken,
    #[error("{0}")]
    Unsupported(String),
    #[error("This instance type does not support retrieving the latest console logs.")]
    UnsupportedOperation,

    #[error("Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")]
    IdempotentParameterMismatch,
    #[error(
        "The client token you have provided is associated with a terminated instance. Please use a different client token."
    )]
    IdempotentInstanceTerminated,

    #[error("{}", instances_do_not_exist(.0))]
    InstanceNotFound(Vec<String>),
    #[error("Invalid id: \"{0}\"")]
    InstanceMalformed(String),
    #[error("The ID '{0}' is not valid")]
    InvalidId(String),
    #[error("The image id '[{0}]' does not exist")]
    ImageNotFound(String),
    #[error("Invalid id: \"{0}\" (expecting \"ami-...\")")]
    ImageMalformed(String),
    #[error("The subnet ID '{0}' does not exist")]
    SubnetNotFound(String),
    #[error("The specified launch template, with template ID {0}, does not exist.")]
    TemplateNotFound(String),
    #[error("The specified launch template, with template name {0}, does not exist.")]
    TemplateNameNotFound(String),
    #[error("Could not find the specified version {version} for the launch template with ID {template}.")]
    TemplateVersionNotFound { template: String, version: String },
    #[error("Invalid BASE64 encoding of user data.")]
    UserDataMalformed,
    #[error("The maximum number of Tags for a resource has been reached.")]
    TagLimitExceeded,

    #[error("{}", no_capacity(.instance_type, .zone.as_deref(), .others))]
    InsufficientInstanceCapacity {
        instance_type: String,
        zone: Option<String>,
        others: Vec<String>,
    },
    #[error("There are not enough free addresses in subnet '{0}' to satisfy the requested number of instances.")]
    InsufficientFreeAddressesInSubnet(String),
    #[error(
        "You have requested more vCPU capacity than your current vCPU limit of {0} allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
    )]
    VcpuLimitExceeded(u32),
    #[error("Max spot instance count exceeded")]
    MaxSpotInstanceCountExceeded,
    #[error(
        "The instance '{0}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
    )]
    OperationNotPermitted(String),
    #[error("{0}")]
    IncorrectInstanceState(String),

    #[error("Request limit exceeded.")]
    RequestLimitExceeded,
    /// What a test has put in.
    #[error("{}", .0.message)]
    Injected(InjectedError),
}

/// An error that a test makes up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectedError {
    /// The code.
    pub code: String,
    /// The HTTP status.
    pub status: u16,
    /// The words.
    pub message: String,
}

impl InjectedError {
    /// Returns EC2's `InternalError`, status 500.
    pub fn internal_error() -> InjectedError {
        InjectedError {
            code: "InternalError".into(),
            status: 500,
            message: "An internal error has occurred".into(),
        }
    }

    /// Returns EC2's `Unavailable`, status 503.
    pub fn unavailable() -> InjectedError {
        InjectedError {
            code: "Unavailable".into(),
            status: 503,
            message: "The service is unavailable. Please try again shortly.".into(),
        }
    }
}

impl Ec2Error {
    /// Says that a parameter's value is none.
    pub(crate) fn invalid_value(name: &str, value: &str, why: &str) -> Ec2Error {
        Ec2Error::InvalidParameterValue(format!("Value ({value}) for parameter {name} is invalid. {why}."))
    }

    /// Returns EC2's code.
    pub fn code(&self) -> &str {
        self.code_and_status().0
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.code_and_status().1
    }

    fn code_and_status(&self) -> (&str, u16) {
        match self {
            Ec2Error::AuthFailure => ("AuthFailure", 401),
            Ec2Error::IncompleteSignature(_) => ("IncompleteSignature", 400),
            Ec2Error::MissingAuthenticationToken => ("MissingAuthenticationToken", 403),
            Ec2Error::RequestExpired => ("RequestExpired", 400),
            Ec2Error::UnauthorizedOperation { .. } => ("UnauthorizedOperation", 403),
            Ec2Error::DryRunOperation => ("DryRunOperation", 412),
            Ec2Error::InvalidAction(_) => ("InvalidAction", 400),
            Ec2Error::MissingAction => ("MissingAction", 400),
            Ec2Error::MalformedQueryString => ("MalformedQueryString", 400),
            Ec2Error::MissingParameter(_) => ("MissingParameter", 400),
            Ec2Error::InvalidParameterValue(_) => ("InvalidParameterValue", 400),
            Ec2Error::InvalidParameterCombination(_) => ("InvalidParameterCombination", 400),
            Ec2Error::InvalidNextToken => ("InvalidNextToken", 400),
            Ec2Error::Unsupported(_) => ("Unsupported", 400),
            Ec2Error::UnsupportedOperation => ("UnsupportedOperation", 400),
            Ec2Error::IdempotentParameterMismatch => ("IdempotentParameterMismatch", 400),
            Ec2Error::IdempotentInstanceTerminated => ("IdempotentInstanceTerminated", 400),
            Ec2Error::InstanceNotFound(_) => ("InvalidInstanceID.NotFound", 400),
            Ec2Error::InstanceMalformed(_) => ("InvalidInstanceID.Malformed", 400),
            Ec2Error::InvalidId(_) => ("InvalidID", 400),
            Ec2Error::ImageNotFound(_) => ("InvalidAMIID.NotFound", 400),
            Ec2Error::ImageMalformed(_) => ("InvalidAMIID.Malformed", 400),
            Ec2Error::SubnetNotFound(_) => ("InvalidSubnetID.NotFound", 400),
            Ec2Error::TemplateNotFound(_) => ("InvalidLaunchTemplateId.NotFound", 400),
            Ec2Error::TemplateNameNotFound(_) => ("InvalidLaunchTemplateName.NotFoundException", 400),
            Ec2Error::TemplateVersionNotFound { .. } => ("InvalidLaunchTemplateId.VersionNotFound", 400),
            Ec2Error::UserDataMalformed => ("InvalidUserData.Malformed", 400),
            Ec2Error::TagLimitExceeded => ("TagLimitExceeded", 400),
            // A server's error in EC2's own table, and seen as 500: the SDK's default retries try it again.
            Ec2Error::InsufficientInstanceCapacity { .. } => ("InsufficientInstanceCapacity", 500),
            Ec2Error::InsufficientFreeAddressesInSubnet(_) => ("InsufficientFreeAddressesInSubnet", 400),
            Ec2Error::VcpuLimitExceeded(_) => ("VcpuLimitExceeded", 400),
            Ec2Error::MaxSpotInstanceCountExceeded => ("MaxSpotInstanceCountExceeded", 400),
            Ec2Error::OperationNotPermitted(_) => ("OperationNotPermitted", 400),
            Ec2Error::IncorrectInstanceState(_) => ("IncorrectInstanceState", 400),
            Ec2Error::RequestLimitExceeded => ("RequestLimitExceeded", 503),
            Ec2Error::Injected(error) => (&error.code, error.status),
        }
    }
}

fn encoded_reasons(message: Option<&str>) -> String {
    message.map_or(String::new(), |message| {
        format!(" Encoded authorization failure message: {message}")
    })
}

fn instances_do_not_exist(ids: &[String]) -> String {
    match ids {
        [id] => format!("The instance ID '{id}' does not exist"),
        ids => format!("The instance IDs '{}' do not exist", ids.join(", ")),
    }
}

fn no_capacity(instance_type: &str, zone: Option<&str>, others: &[String]) -> String {
    let Some(zone) = zone else {
        return format!(
            "We currently do not have sufficient {instance_type} capacity in zones with support for 'gp3' volumes. Our system will be working on provisioning additional capacity."
        );
    };
    let mut words = format!(
        "We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested ({zone}). Our system will be working on provisioning additional capacity."
    );
    if !others.is_empty() {
        let others = others.join(", ");
        words.push_str(&format!(
            " You can currently get {instance_type} capacity by not specifying an Availability Zone in your request or choosing {others}."
        ));
    }
    words
}
