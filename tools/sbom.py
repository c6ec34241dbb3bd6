#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A software bill of materials, SPDX 2.3 as JSON: Loom, the Debian packages whose libraries it is linked with, and those it
loads when it needs them. The same inputs give the same bytes; the time is SOURCE_DATE_EPOCH.

  tools/sbom.py VERSION OUTPUT BINARY..."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time

# loaded at run time: base/shared_library.h and whoever uses it
LOADED = ("libcurl4", "libssl3", "zlib1g", "libwslay1", "libdw1", "libseccomp2")
BUILT_IN = ("node-llhttp",)  # sources that are compiled into the programs
OURS = re.compile(r"libloom(-schema)?\.so")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def linked_packages(binaries):
    """Debian packages of the libraries that the binaries name as needed."""
    sonames = {match for binary in binaries for match in re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", binary))}
    paths = {}
    for line in output("ldconfig", "-p").splitlines():
        if match := re.match(r"\s+(\S+) \(.*\) => (\S+)", line):
            paths.setdefault(match[1], match[2])
    found = set()
    for soname in sonames:
        if OURS.match(soname) or soname not in paths:
            continue
        for path in (os.path.realpath(paths[soname]), paths[soname]):
            owner = subprocess.run(["dpkg-query", "-S", path, path.replace("/usr/lib", "/lib", 1), path.replace("/lib", "/usr/lib", 1)],
                                   capture_output=True, text=True).stdout
            if owner:
                found.add(owner.split(":")[0])
                break
    return found


def package(name):
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}\t${Homepage}\t${Maintainer}", name], capture_output=True, text=True)
    version, homepage, maintainer = (asked.stdout.split("\t") + ["", "", ""])[:3] if asked.returncode == 0 else ("", "", "")
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name), "name": name, "versionInfo": version or "NOASSERTION",
        "supplier": f"Organization: {maintainer}" if maintainer else "NOASSERTION",
        "downloadLocation": "NOASSERTION", "homepage": homepage or "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": f"pkg:deb/debian/{name}@{version}"}],
    }


def main(version, out, binaries):
    linked = sorted(linked_packages(binaries))
    loaded = [name for name in LOADED if name not in linked]
    loom = {"SPDXID": "SPDXRef-loom", "name": "loom", "versionInfo": version, "supplier": "Organization: Loom developers",
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "Apache-2.0", "licenseDeclared": "Apache-2.0",
            "copyrightText": "Loom developers", "primaryPackagePurpose": "APPLICATION"}
    packages = [loom] + [package(name) for name in (*linked, *loaded, *BUILT_IN)]
    relate = lambda kind, names: [{"spdxElementId": "SPDXRef-loom", "relationshipType": kind,
                                   "relatedSpdxElement": package(name)["SPDXID"]} for name in names]
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"loom-{version}",
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))),
                         "creators": ["Tool: loom tools/sbom.py", "Organization: Loom developers"]},
        "packages": packages,
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-loom"},
                          *relate("DYNAMIC_LINK", linked),
                          *relate("DEPENDS_ON", loaded), *relate("STATIC_LINK", BUILT_IN)],
    }
    digest = hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest()
    document["documentNamespace"] = f"urn:loom:sbom:{version}:{digest[:32]}"
    with open(out, "w") as file:
        json.dump(document, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
