// Pins of leaf keys for the app shop, made by ctwatch: do not edit.
// Plan: 0123456789abcdef
// As of: 2026-07-01T12:00:00Z
// Until: 2026-08-17T12:00:00Z, when the first certificate that is served now ends; look at the plan again before.
// *.example.com is spelled out, since the format cannot express it: a.example.com, xn--bcher-kva.example.com

import okhttp3.CertificatePinner

val certificatePinner: CertificatePinner = CertificatePinner.Builder()
    .add(
        "a.example.com",
        "sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg=",
        "sha256/yMXAjbqvikZMSSMbYQfzb/aSU5+JXaVHoiw9ld2IwWw="
    )
    .add(
        "api.example.com",
        "sha256/Inul8sbJEJ/lxEoGlvOTN5YHSTo3f1Iu4n2aeuMifYk=",
        "sha256/CPIl/gjpSlsdotpAefzRp2R9N1zJViSmxtZab8hLMkM="
    )
    .add(
        "example.com",
        "sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg=",
        "sha256/yMXAjbqvikZMSSMbYQfzb/aSU5+JXaVHoiw9ld2IwWw="
    )
    .add(
        "xn--bcher-kva.example.com",
        "sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg=",
        "sha256/yMXAjbqvikZMSSMbYQfzb/aSU5+JXaVHoiw9ld2IwWw="
    )
    .build()
