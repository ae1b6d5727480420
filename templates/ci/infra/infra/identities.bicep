// Who CI logs in as: one identity for each environment, which jobs of that environment alone can be. There is no secret:
// the issuer signs what a job is, and Azure takes it for the identity whose credential names that.

param workspaceName string
param location string
param issuer string
param subjectPrefix string
param environments array

// Submits runs, registers models, deploys services; makes no clusters and changes no rights.
var amlDataScientist = 'f6c7c914-8db3-469d-8ca1-694a8f32e121'

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = [for environment in environments: {
  name: 'id-${workspaceName}-${environment}'
  location: location
}]

resource credentials 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = [for (environment, index) in environments: {
  parent: identities[index]
  name: environment
  properties: {
    issuer: issuer
    subject: '${subjectPrefix}${environment}'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}]

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (environment, index) in environments: {
  scope: workspace
  name: guid(workspace.id, environment, amlDataScientist)
  properties: {
    principalId: identities[index].properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', amlDataScientist)
  }
}]

output clientIds array = [for (environment, index) in environments: {
  environment: environment
  clientId: identities[index].properties.clientId
}]
