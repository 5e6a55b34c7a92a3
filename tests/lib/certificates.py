"""Certificates for the tests, made with the openssl program: an authority and what it signs.

    ca = Authority(directory)
    pair = ca.issue("redis", "IP:127.0.0.1,DNS:localhost")      # pair.certificate, pair.key: paths of PEM files
    ca.issue("old", "IP:127.0.0.1", days=-1)                    # has expired
    self_signed(directory, "alone", "IP:127.0.0.1")
"""

import datetime
import subprocess
from typing import NamedTuple


class Pair(NamedTuple):
    certificate: str
    key: str


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def make_key(path):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(path))


def self_signed(directory, name, names):
    """A certificate that nobody else has signed."""
    pair = Pair(str(directory / f"{name}.crt"), str(directory / f"{name}.key"))
    make_key(pair.key)
    openssl("req", "-x509", "-key", pair.key, "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}",
            "-days", "2", "-out", pair.certificate)
    return pair


class Authority:
    """One that signs. Its own certificate is at `certificate`."""

    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.certificate = str(directory / f"{name}.crt")
        self.key = str(directory / f"{name}.key")
        self.database = directory / f"{name}.db"
        make_key(self.key)
        openssl("req", "-x509", "-key", self.key, "-subj", f"/CN={name}", "-days", "2", "-out", self.certificate)

    def issue(self, name, names, days=2):
        """A certificate for these subjectAltNames that ends in so many days."""
        pair = Pair(str(self.directory / f"{name}.crt"), str(self.directory / f"{name}.key"))
        request, config = self.directory / f"{name}.csr", self.directory / f"{name}.cnf"
        make_key(pair.key)
        openssl("req", "-new", "-key", pair.key, "-subj", f"/CN={name}", "-out", str(request))
        self.database.write_text("")
        # `openssl ca` alone takes dates that are over.
        config.write_text(f"[ca]\ndefault_ca = own\n[own]\ndatabase = {self.database}\nnew_certs_dir = {self.directory}\n"
                          "rand_serial = yes\ndefault_md = sha256\npolicy = any\nunique_subject = no\n"
                          "email_in_dn = no\n[any]\ncommonName = supplied\n"
                          f"[extensions]\nsubjectAltName = {names}\n")
        now = datetime.datetime.now(datetime.timezone.utc)
        first = now - datetime.timedelta(days=10)
        last = now + datetime.timedelta(days=days)
        openssl("ca", "-batch", "-notext", "-config", str(config), "-cert", self.certificate, "-keyfile", self.key,
                "-extensions", "extensions", "-startdate", first.strftime("%Y%m%d%H%M%SZ"),
                "-enddate", last.strftime("%Y%m%d%H%M%SZ"), "-in", str(request), "-out", pair.certificate)
        return pair
