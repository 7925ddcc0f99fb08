"""Calls KMS through boto3 as it is told, a JSON line at a time, and answers each with one (test/support/boto3.ts).

The first line says what this release of boto3 knows: the members of each operation's input.
"""
import base64
import json
import sys

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

BYTES = 'base64'


def decoded(members):
    if set(members) == {BYTES}:
        return base64.b64decode(members[BYTES])
    return members


def said(reply):
    sys.stdout.write(json.dumps(reply) + '\n')
    sys.stdout.flush()


kms = boto3.client('kms', endpoint_url=sys.argv[1], config=Config(retries={'total_max_attempts': 1}))
model = kms.meta.service_model
shapes = {name: model.operation_model(name).input_shape for name in model.operation_names}
said({name: list(shape.members) if shape else [] for name, shape in shapes.items()})

for line in sys.stdin:
    call = json.loads(line, object_hook=decoded)
    try:
        getattr(kms, xform_name(call['operation']))(**call['input'])
        said({})
    except ClientError as error:
        said({'code': error.response['Error']['Code'], 'message': error.response['Error']['Message']})
