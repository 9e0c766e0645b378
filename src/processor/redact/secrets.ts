// What the preset `secrets` of `redact` takes for confidential in an event with bodies: which bodies as a whole, and
// which annotation anywhere in the others. Decided by what was asked for (`objectRef`) and by what the body says that it
// is (`kind`), so that neither hides the other.
//
// The kinds are those whose bodies hold credentials: kubernetes/kubernetes#96319, and what OpenShift's and kubeadm's
// audit policies leave out.
import type { ByteString } from '../../event/byte-string.js';
import { isObjectAt, PathMembers, stringAt } from '../../event/json-members.js';
import type { JsonReader } from '../../event/json-reader.js';

/** Resources, with all that is below them, and resource/subresource, whose bodies are confidential, and their kinds. */
const RESOURCES = [
  'secrets',
  'tokenreviews',
  'serviceaccounts/token',
  'certificatesigningrequests',
  'oauthaccesstokens',
  'oauthauthorizetokens',
  'useroauthaccesstokens',
  'oauthclients',
];
const KINDS = [
  'Secret',
  'SecretList',
  'TokenReview',
  'TokenRequest',
  'CertificateSigningRequest',
  'CertificateSigningRequestList',
  'OAuthAccessToken',
  'OAuthAccessTokenList',
  'OAuthAuthorizeToken',
  'OAuthAuthorizeTokenList',
  'UserOAuthAccessToken',
  'UserOAuthAccessTokenList',
  'OAuthClient',
  'OAuthClientList',
];
const CONFIG_MAPS = { resources: ['configmaps'], kinds: ['ConfigMap', 'ConfigMapList'] };

const RESOURCE = new PathMembers(['resource']);
const SUBRESOURCE = new PathMembers(['subresource']);
const KIND_PATHS = [new PathMembers(['kind']), new PathMembers(['items', 'kind'])];

/** The annotation that holds a whole object as it was last applied, with all that it contains. */
export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Tells which bodies are confidential. */
export class SecretBodies {
  readonly #resources: ReadonlySet<ByteString>;
  readonly #kinds: ReadonlySet<ByteString>;

  constructor({ withConfigMaps }: { withConfigMaps: boolean }) {
    this.#resources = new Set([...RESOURCES, ...(withConfigMaps ? CONFIG_MAPS.resources : [])]);
    this.#kinds = new Set([...KINDS, ...(withConfigMaps ? CONFIG_MAPS.kinds : [])]);
  }

  /** Whether all bodies of a request are whose `objectRef` is at `at`. Of equal keys each counts. */
  isReference(reader: JsonReader, at: number): boolean {
    const subresources = textsOf(reader, at, SUBRESOURCE);
    return textsOf(reader, at, RESOURCE).some(
      (resource) =>
        this.#resources.has(resource) ||
        subresources.some((subresource) => this.#resources.has(`${resource}/${subresource}`)),
    );
  }

  /** Whether the body at `at` is, by its own kind or that of any of its items. */
  isBody(reader: JsonReader, at: number): boolean {
    if (!isObjectAt(reader, at)) return false;
    return KIND_PATHS.some((path) => textsOf(reader, at, path).some((kind) => this.#kinds.has(kind)));
  }
}

/** The strings that a path leads to inside the value at `at`. */
function textsOf(reader: JsonReader, at: number, path: PathMembers): ByteString[] {
  const texts: ByteString[] = [];
  path.each(reader, at, ({ valueStart }) => {
    const text = stringAt(reader, valueStart);
    if (text !== undefined) texts.push(text);
  });
  return texts;
}
