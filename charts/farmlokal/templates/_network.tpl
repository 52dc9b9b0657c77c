{{/* DNS, wherever it is: in the cluster, on 5353 in OpenShift's pods, or a cache on the node. */}}
{{- define "farmlokal.egressDns" -}}
- ports:
    {{- range list 53 5353 }}
    - port: {{ . }}
      protocol: UDP
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end -}}

{{/* Takes (list $ "database" or "redis" further-ports...). */}}
{{- define "farmlokal.egressStore" -}}
{{- $ := index . 0 -}}
{{- $sentinels := ternary (list 26379) list (and (eq (index . 1) "redis") (not (empty $.Values.redis.urlKey))) -}}
- ports:
    {{- range get $.Values.networkPolicy (printf "%sPorts" (index . 1)) | default (concat (list (get (get $.Values (index . 1)) "port")) (slice . 2) $sentinels | uniq) }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
  {{- with get $.Values.networkPolicy (printf "%sTo" (index . 1)) }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The port of a URL. */}}
{{- define "farmlokal.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- default (ternary "443" "80" (eq $url.scheme "https")) $port -}}
{{- end -}}

{{/* To URLs outside of the release, by their ports. Takes a list of URLs. */}}
{{- define "farmlokal.egressUrls" -}}
{{- $ports := list -}}
{{- range compact . -}}
{{- $ports = append $ports (include "farmlokal.portOf" .) -}}
{{- end -}}
{{- with $ports | uniq | sortAlpha -}}
- ports:
    {{- range . }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end -}}
{{- end -}}

{{/* To pods of the release. Takes (list $ component port). */}}
{{- define "farmlokal.egressTo" -}}
- ports:
    - port: {{ index . 2 }}
      protocol: TCP
  to:
    - podSelector:
        matchLabels:
          {{- include "farmlokal.selector" (list (index . 0) (index . 1)) | nindent 10 }}
{{- end -}}

{{/* /metrics, for Prometheus. */}}
{{- define "farmlokal.ingressMonitoring" -}}
- ports:
    - port: management
      protocol: TCP
  {{- with .Values.networkPolicy.monitoringFrom }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
