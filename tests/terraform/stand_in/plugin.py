"""Terraform's plugin protocol: values on the wire, and the handshake of a provider's process."""

import base64
import datetime as dt
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import msgpack
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tf.gen import grpc_controller_pb2, grpc_controller_pb2_grpc, tfplugin_pb2_grpc
from tf.gen import tfplugin_pb2 as pb

from values import Unknown, attributes


def decode(value):
    return msgpack.unpackb(value.msgpack, ext_hook=lambda code, data: Unknown) if value.msgpack else None


def encode(value):
    return pb.DynamicValue(msgpack=msgpack.packb(value, default=lambda unknown: msgpack.ExtType(0, b"\0")))


ATTRIBUTE_KEYS = {"required", "optional", "computed", "sensitive", "deprecated", "description"}


def to_schema(schema):
    """A schema in the layout of `terraform providers schema -json`, on the wire."""
    return pb.Schema(version=schema.get("version", 0), block=to_block(schema["block"]))


def to_block(block):
    own = [
        pb.Schema.Attribute(
            name=name,
            type=json.dumps(entry["type"]).encode(),
            **{key: entry[key] for key in ATTRIBUTE_KEYS & entry.keys()},
        )
        for name, entry in attributes(block)
    ]
    blocks = [
        pb.Schema.NestedBlock(
            type_name=name,
            block=to_block(nested["block"]),
            nesting=nested["nesting_mode"].upper(),
            min_items=nested.get("min_items"),
            max_items=nested.get("max_items"),
        )
        for name, nested in block.get("block_types", {}).items()
    ]
    return pb.Schema.Block(attributes=own, block_types=blocks)


def error(message, path=()):
    """A diagnostic that ends the command."""
    attribute = to_path(path[0]) if path else None
    return pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=message, attribute=attribute)


def to_path(name):
    return pb.AttributePath(steps=[pb.AttributePath.Step(attribute_name=name)])


class Controller(grpc_controller_pb2_grpc.GRPCControllerServicer):
    def Shutdown(self, request, context):
        threading.Timer(0.01, os._exit, [0]).start()
        return grpc_controller_pb2.Empty()


def serve(provider):
    """Run `provider` as a go-plugin server: TLS on a loopback port that is named on standard output."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    server = _server(provider)
    grpc_controller_pb2_grpc.add_GRPCControllerServicer_to_server(Controller(), server)
    credentials = grpc.ssl_server_credentials([(private, certificate.public_bytes(pem))])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode().rstrip("=")
    print(f"1|6|tcp|127.0.0.1:{port}|grpc|{der}", flush=True)
    server.wait_for_termination()


def serve_all(providers):
    """Run providers, by their names, for many commands of Terraform, until standard input ends.

    What is printed is the value of TF_REATTACH_PROVIDERS: a command that has it starts no process of its own.
    """
    servers, attached = [], {}
    for name, provider in providers.items():
        server = _server(provider)
        address = {"Network": "tcp", "String": f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"}
        attached[f"registry.terraform.io/hashicorp/{name}"] = {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": address,
        }
        server.start()
        servers.append(server)
    print(json.dumps(attached), flush=True)
    sys.stdin.read()


def _server(provider):
    server = grpc.server(ThreadPoolExecutor())
    tfplugin_pb2_grpc.add_ProviderServicer_to_server(provider, server)
    return server
