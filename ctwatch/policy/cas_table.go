package policy

// The built-in table, as of 24 November 2026. Where each fact is from:
//
//   - keys: the SHA-256 of the SubjectPublicKeyInfo of the roots in Mozilla's list, as
//     golang.org/x/crypto/x509roots/fallback (v0.0.0-20261030153154) and Debian's
//     ca-certificates (20230311) carry it; the second has roots that the first no longer
//     trusts, to which chains still lead. Let's Encrypt's roots YE and YR and its
//     intermediates are from github.com/letsencrypt/website (static/certs/2024 and
//     static/certs/gen-y), each verified up to ISRG Root X1 or X2. Other intermediates are learned (CAs.Learn).
//   - CAA identities: the Common CA Database's report "CAA Identifiers"; those of Certainly
//     and TrustAsia from CAA records in use.
//   - Starfield Services G2 is Amazon's, by www.amazontrust.com/repository. Whose the
//     other roots are, their own names say. Roots that changed hands without such a
//     source (GlobalSign R4, Baltimore CyberTrust) are left out.
//   - where problems are reported: the CAs' certification practice statements (Let's
//     Encrypt, DigiCert, Sectigo, GoDaddy, emSign, Microsec), their own pages (Google,
//     Amazon, IdenTrust, Chunghwa Telecom, Buypass), and lists kept by people who
//     report (GlobalSign, Microsoft, SSL.com, Entrust, Certum). Empty where none was found.
//
// A fact that is doubtful is left out: it is better not to know a CA than to take
// another for it.

// builtin returns the table, first those that issue most.
func builtin() []CA { return append(largest(), others()...) }

func largest() []CA {
	return []CA{
		{
			Name: "Let's Encrypt", CAA: []string{"letsencrypt.org"},
			Report:        "cert-prob-reports@letsencrypt.org",
			Organizations: []string{"Let's Encrypt", "Internet Security Research Group", "ISRG"},
			keys: []string{
				"C5+lpZ7tcVwmwQIMcRtPbsQtWLABXhQzejna0wHFr8M=", // ISRG Root X1
				"diGVwiVYbubAI3RW4hB9xU8e/CH2GnkuvVFZE8zmgzI=", // ISRG Root X2
				"NYbU7PBwV4y9J67c4guWTki8FJ+uudrXL0a4V4aRcrg=", // E5
				"0Bbh/jEZSKymTy3kTOhsmlHKBB32EDu1KojrP3YfV9c=", // E6
				"y7xVm0TVJNahMr2sZydE2jQH8SquXV9yLF9seROHHHU=", // E7
				"iFvwVyJSxnQdyaUvUERIf+8qk7gRze3612JMwoO3zdU=", // E8
				"8UQKm3bh5B5TpMtGEym/Yze0GXJr5RPkLhnxxpHF1LI=", // E9
				"K7rZOrXHknnsEhUH8nLL4MZkejquUuIvOIr6tCa0rbo=", // R10
				"bdrBhpj38ffhxpubzkINl0rG+UyossdhcBYj+Zx2fcc=", // R11
				"kZwN96eHtZftBWrOZUsd6cA4es80n3NzSk/XtYz2EqQ=", // R12
				"AlSQhgtJirc8ahLyekmtX+Iw+v46yPYRLJt9Cq1GlB0=", // R13
				"8WR6XuPvrFTIkukwWE/keXm3rNHHbBJxvKHFB22GmIg=", // R14
				"sCkq5UWXjg+7mKu9lMhhYF5bGLsy7VI/UNW3tccdR7w=", // Root YE
				"fk6IOKit1ild5647BH06ujSIq5XbCgqlbYl6ANhhi88=", // Root YR
				"brzvtCELCIZUo4sD/qPX0ccRtPsd3DY6RfmxpOU9oB4=", // YE1
				"s/tdAOmUzd8syaTuqfgGvFcn6DzA5Cmb+Vby1ST+U3Y=", // YE2
				"ppiiCCS+BOR6GjPE+kiHMb6SAR8jox6QDiyibJwqz84=", // YE3
				"LoMHBotttiDko50Gi13uXW71eIy7LAttI+rYT8wXF4w=", // YR1
				"nWN7PSep5XDQdge5zK24CnCRXHr3KvzhKEGxsdqCX9E=", // YR2
				"UaqofZhLVZrGnpKfiIoCLYMuCJ/026CkErUQG8pLx5k=", // YR3
			},
		},
		{
			Name: "Google Trust Services", CAA: []string{"pki.goog", "google.com"},
			Report:        "https://pki.goog/faq/",
			Organizations: []string{"Google Trust Services", "Google Trust Services LLC"},
			keys: []string{
				"hxqRlPTu1bMS/0DITB1SSu0vd4u/8l8TjPgfaAp63Gc=", // GTS Root R1
				"Vfd95BwDeSQo+NUYxVEEIlvkOlWY2SalKK1lPhzOx78=", // GTS Root R2
				"QXnt2YHvdHR3tJYmQIr0Paosp6t/nggsEGD4QJZ3Q0g=", // GTS Root R3
				"mEflZT5enoR1FuXLgYYGqnVEoZvmf9c2bVBpiOjYQ0c=", // GTS Root R4
			},
		},
		{
			Name: "DigiCert", CAA: []string{"digicert.com", "geotrust.com", "rapidssl.com", "thawte.com", "symantec.com", "digitalcertvalidation.com", "quovadisglobal.com", "digicert.ne.jp"},
			Report:        "revoke@digicert.com",
			Organizations: []string{"DigiCert Inc", "DigiCert, Inc.", "QuoVadis Limited"},
			keys: []string{
				"I/Lt/z7ekCWanjD0Cvj5EqXls2lOaThEA0H2Bg4BT/o=", // DigiCert Assured ID Root CA
				"8ca6Zwz8iOTfUpc8rkIPCgid1HQUT+WAbEIAZOFZEik=", // DigiCert Assured ID Root G2
				"Fe7TOVlLME+M+Ee0dzcdjW/sYfTbKwGvWJ58U7Ncrkw=", // DigiCert Assured ID Root G3
				"r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=", // DigiCert Global Root CA
				"i7WTqTvh0OioIruIfFR4kMPnBqrS2rdiVPl/s2uC/CY=", // DigiCert Global Root G2
				"uUwZgwDOxcBXrQcntwu+kYFpkiVkOaezL0WYEZ3anJc=", // DigiCert Global Root G3
				"WoiWRyIOVNa9ihaBciRSC7XHjliYS9VwUGOIud4PB18=", // DigiCert High Assurance EV Root CA
				"oC+voZLIy4HLE0FVT5wFtxzKKokLDRKY1oNkfJYe+98=", // DigiCert TLS ECC P384 Root G5
				"ape1HIIZ6T5d7GS61YBs3rD4NVvkfnVwELcCRW4Bqv0=", // DigiCert TLS RSA4096 Root G5
				"Wd8xe/qfTwq3ylFNd3IpaqLHZbh2ZNCLluVzmeNkcpw=", // DigiCert Trusted Root G4
				"hqaPBQA0EmpUDTnbLF+RfvZqlPuWGfoezYJ86ka6DLA=", // QuoVadis Root CA 1 G3
				"j9ESw8g3DxR9XM06fYZeuN1UB4O6xp/GAIjjdD/zM3g=", // QuoVadis Root CA 2
				"SkntvS+PgjC9VZKzE1c/4cFypF+pgBHMHt27Nq3j/OU=", // QuoVadis Root CA 2 G3
				"DHrKpxAiZyC7yUA0nuLmFIZSqJ2/QGojLIlfbceOu5o=", // QuoVadis Root CA 3
				"80OOI7POUyUi+s8weSP1j9GGCOm6et3DDpUrQ8SWFsM=", // QuoVadis Root CA 3 G3
			},
		},
		{
			Name: "Sectigo", CAA: []string{"sectigo.com", "comodoca.com", "comodo.com", "usertrust.com", "trust-provider.com"},
			Report:        "sslabuse@sectigo.com",
			Organizations: []string{"Sectigo Limited", "COMODO CA Limited", "Comodo CA Limited", "The USERTRUST Network"},
			keys: []string{
				"vRU+17BDT2iGsXvOi76E7TQMcTLXAqj0+jGPdW7L1vM=", // AAA Certificate Services
				"AG1751Vd2CAmRCxPGieoDomhmJy4ezREjtIZTBgZbV4=", // COMODO Certification Authority
				"58qRu/uxh4gFezqAcERupSkRYBlBAvfcw7mEjGPLnNU=", // COMODO ECC Certification Authority
				"grX4Ta9HpZx6tSHkmCrvpApTQGo67CYDnvprLg5yRME=", // COMODO RSA Certification Authority
				"sLVjNUaFYfW7n6EtgBeEpjOlcnBdNPMrZDRF36iwBdE=", // Sectigo Public Server Authentication Root E46
				"Douxi77vs4G+Ib/BogbTFymEYq0QSFXwSgVCaZcI09Q=", // Sectigo Public Server Authentication Root R46
				"ICGRfpgmOUXIWcQ/HXPLQTkFPEFPoDyjvH7ohhQpjzs=", // USERTrust ECC Certification Authority
				"x4QzPSC810K5/cMjb05Qm4k3Bw5zBn4lTdO/nEW/Td4=", // USERTrust RSA Certification Authority
			},
		},
		{
			Name: "Amazon Trust Services", CAA: []string{"amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com", "aws.amazon.com"},
			Report:        "https://www.amazontrust.com/repository/",
			Organizations: []string{"Amazon"},
			keys: []string{
				"++MBgDH5WGvL9Bcn5Be30cRcL0f5O+NyoXuWtQdX1aI=", // Amazon Root CA 1
				"f0KW/FtqTjs108NpYj42SrGvOB2PpxIVM8nWxjPqJGE=", // Amazon Root CA 2
				"NqvDJlas/GRcYbcWE8S/IceH9cq77kg0jVhZeAPXq8k=", // Amazon Root CA 3
				"9+ze1cZgR9KO1kZrVDxA4HQ6voHRCSVNz4RdTCx4U8U=", // Amazon Root CA 4
				"KwccWaCgrnaw6tsrrSO61FgLacNgG2MMLq8GE6+oP5I=", // Starfield Services Root Certificate Authority - G2
			},
		},
		{
			Name: "GoDaddy", CAA: []string{"godaddy.com", "starfieldtech.com"},
			Report:        "practices@starfieldtech.com",
			Organizations: []string{"GoDaddy.com, Inc.", "The Go Daddy Group, Inc.", "Starfield Technologies, Inc."},
			keys: []string{
				"VjLZe/p3W/PJnd6lL8JVNBCGQBZynFLdZSTIqcO0SJ8=", // Go Daddy Class 2 Certification Authority
				"Ko8tivDrEjiY90yGasP6ZpBU4jwXvHqVvQI0GS3GNdA=", // Go Daddy Root Certificate Authority - G2
				"FfFKxFycfaIz00eRZOgTf+Ne4POK6FgYPwhBDqgqxLQ=", // Starfield Class 2 Certification Authority
				"gI1os/q0iEpflxrOfRBVDXqVoWN3Tz7Dav/7IT++THQ=", // Starfield Root Certificate Authority - G2
			},
		},
		{
			Name: "GlobalSign", CAA: []string{"globalsign.com"},
			Report:        "report-abuse@globalsign.com",
			Organizations: []string{"GlobalSign nv-sa", "GlobalSign"},
			keys: []string{
				"fg6tdrtoGdwvVFEahDVPboswe53YIFjqbABPAdndpd8=", // GlobalSign ECC Root CA - R5
				"K87oWBWM9UZfyddvDfoxL+8lpNyoUB2ptGtn0fv6G2Q=", // GlobalSign Root CA
				"cGuxAXyFXFkWm61cF4HPWX8S0srS9j0aSqN0k4AP+4A=", // GlobalSign Root CA - R3
				"aCdH+LpiG4fN07wpXtXKvOciocDANj0daLOJKNJ4fx4=", // GlobalSign Root CA - R6
				"4EoCLOMvTM8sf2BGKHuCijKpCfXnUUR/g/0scfb9gXM=", // GlobalSign Root E46
				"rn+WLLnmp9v3uDP7GPqbcaiRdd+UnCMrap73yz3yu/w=", // GlobalSign Root R46
			},
		},
		{
			Name: "Microsoft", CAA: []string{"microsoft.com"},
			Report:        "centralpki@microsoft.com",
			Organizations: []string{"Microsoft Corporation"},
			keys: []string{
				"NfU84SZGEeAzQP434ex9TMmGxWE9ynD9BKpEVF8tryg=", // Microsoft ECC Root Certificate Authority 2017
				"svcpi1K/LDysTd/nLeTWgqxYlXWVmC8rYjAa9ZfGmcU=", // Microsoft RSA Root Certificate Authority 2017
			},
		},
		{
			Name: "SSL.com", CAA: []string{"ssl.com"},
			Report:        "https://ssl.com/revoke",
			Organizations: []string{"SSL Corporation"},
			keys: []string{
				"NIdnza073SiyuN1TUa7DDGjOxc1p0nbfOCfbxPWAZGQ=", // SSL.com EV Root Certification Authority ECC
				"fNZ8JI9p2D/C+bsB3LH3rWejY9BGBDeW0JhMOiMfa7A=", // SSL.com EV Root Certification Authority RSA R2
				"oyD01TTXvpfBro3QSZc1vIlcMjrdLTiL/M9mLCPX+Zo=", // SSL.com Root Certification Authority ECC
				"0cRTd+vc1hjNFlHcLgLCHXUeWqn80bNDH/bs9qMTSPo=", // SSL.com Root Certification Authority RSA
				"G/ANXI8TwJTdF+AFBM8IiIUPEv0Gf6H5LA/b9guG4yE=", // SSL.com TLS ECC Root CA 2022
				"K89VOmb1cJAN3TK6bf4ezAbJGC1mLcG2Dh97dnwr3VQ=", // SSL.com TLS RSA Root CA 2022
			},
		},
		{
			Name: "Entrust", CAA: []string{"entrust.net", "affirmtrust.com"},
			Report:        "https://www.entrust.com/support/certificate-solutions/report-a-problem",
			Organizations: []string{"Entrust, Inc.", "Entrust.net", "AffirmTrust"},
			keys: []string{
				"bEZLmlsjOl6HTadlwm8EUBDS3c/0V5TwtMfkqvpQFJU=", // AffirmTrust Commercial
				"lAcq0/WPcPkwmOWl9sBMlscQvYSdgxhJGa6Q64kK5AA=", // AffirmTrust Networking
				"x/Q7TPW3FWgpT4IrU3YmBfbd0Vyt7Oc56eLDy6YenWc=", // AffirmTrust Premium
				"MhmwkRT/SVo+tusAwu/qs0ACrl8KVsdnnqCHo/oDfk8=", // AffirmTrust Premium ECC
				"bb+uANN7nNc/j7R95lkXrwDg3d9C286sIMF8AnXuIJU=", // Entrust Root Certification Authority
				"/qK31kX7pz11PB7Jp4cMQOH3sMVh6Se5hb9xGGbjbyI=", // Entrust Root Certification Authority - EC1
				"du6FkDdMcVQ3u8prumAo6t3i3G27uMP2EOhR8R0at/U=", // Entrust Root Certification Authority - G2
				"NtfHnz0Img/3mXLZCSPepcp2tMy698J1HLFS6UlPUtA=", // Entrust Root Certification Authority - G4
				"HqPF5D7WbC2imDpCpKebHpBnhs6fG1hiFBmgBGOofTg=", // Entrust.net Certification Authority (2048)
			},
		},
		{
			Name: "Certum", CAA: []string{"certum.pl", "certum.eu"},
			Report:        "https://problemreport.certum.pl/",
			Organizations: []string{"Asseco Data Systems S.A.", "Unizeto Technologies S.A."},
			keys: []string{
				"3ntpMunERYLODeB6vat+6pDHXW0qBzMd9XvVy4hVPRM=", // Certum EC-384 CA
				"qiYwp7YXsE0KKUureoyqpQFubb5gSDeoOoVxn6tmfrU=", // Certum Trusted Network CA
				"aztX6eyI0bs9AWN/8zx2mLPJdYJV6fAeqRePPn87K1I=", // Certum Trusted Network CA 2
				"aB3EgsKWyEAsbrsg5oMJo7yEZSOuNLmEqE7ml6MxLbc=", // Certum Trusted Root CA
			},
		},
	}
}
